/* The option table in other forms: roff for the man page, completions for shells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/table.h"

/* What kind of thing an argument is, by the word that the table has for it. */
static bool is_file(const char *argument)
{
    return argument && (!strncmp(argument, "FILE", 4) || !strncmp(argument, "DIR", 3));
}

/* The words of "auto|kvm|soft[,thread=]"; none where there is a placeholder in capitals or brackets only. */
static void words_print(const char *argument, const char *between)
{
    size_t length = argument ? strcspn(argument, "[,") : 0;
    if (!length || !memchr(argument, '|', length))
        return;
    for (size_t i = 0; i < length; i++) {
        if (argument[i] == '|')
            fputs(between, stdout);
        else
            putchar(argument[i]);
    }
}

/* ---- roff: man(7) */

static void roff_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            putchar('\\');
        putchar(*text == '\n' ? ' ' : *text);
    }
}

static void man_print(void)
{
    for (size_t i = 0; i < options_count; i++) {
        if (!options[i].name) {
            printf(".SS %s\n", options[i].argument);
            continue;
        }
        if (!options[i].help)
            continue;
        printf(".TP\n.BR \\-%s", options[i].name);
        if (options[i].argument) {
            fputs(" \" ", stdout);
            for (const char *at = options[i].argument; *at; at++)
                fputs(*at == '"' ? "\\(dq" : *at == '-' ? "\\-" : (char[]){*at, '\0'}, stdout);
            putchar('"');
        }
        putchar('\n');
        roff_text(options[i].help);
        putchar('\n');
    }
}

/* ---- completions */

static void names_print(void)
{
    for (size_t i = 0; i < options_count; i++)
        if (options[i].name)
            printf(" -%s", options[i].name);
}

static void bash_print(void)
{
    fputs("_hearth()\n{\n    local word=${COMP_WORDS[COMP_CWORD]}\n    case ${COMP_WORDS[COMP_CWORD-1]} in\n",
          stdout);
    for (size_t i = 0; i < options_count; i++) {
        if (!options[i].name || !options[i].argument)
            continue;
        printf("    -%s) COMPREPLY=(", options[i].name);
        if (is_file(options[i].argument)) {
            fputs("$(compgen -f -- \"$word\")", stdout);
        } else {
            fputs("$(compgen -W '", stdout);
            words_print(options[i].argument, " ");
            fputs("' -- \"$word\")", stdout);
        }
        fputs("); return ;;\n", stdout);
    }
    fputs("    esac\n    case $word in\n    -*) COMPREPLY=($(compgen -W '", stdout);
    names_print();
    fputs("' -- \"$word\")) ;;\n    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    esac\n}\n"
          "complete -o filenames -F _hearth hearth\n",
          stdout);
}

/* Help on one line, without what a shell or its completion would take for its own. */
static void help_print(const char *help)
{
    for (; *help; help++)
        if (!strchr("'[]:`\"\\$", *help))
            putchar(*help == '\n' ? ' ' : *help);
}

static const char *help_of(size_t index)
{
    while (!options[index].help)
        index--;
    return options[index].help;
}

static void zsh_print(void)
{
    fputs("#compdef hearth\n_arguments \\\n", stdout);
    for (size_t i = 0; i < options_count; i++) {
        if (!options[i].name)
            continue;
        printf("  '*-%s[", options[i].name);
        help_print(help_of(i));
        putchar(']');
        if (is_file(options[i].argument)) {
            fputs(":file:_files", stdout);
        } else if (options[i].argument) {
            fputs(":value:(", stdout);
            words_print(options[i].argument, " ");
            putchar(')');
        }
        fputs("' \\\n", stdout);
    }
    fputs("  '*:disk image:_files'\n", stdout);
}

static void fish_print(void)
{
    for (size_t i = 0; i < options_count; i++) {
        if (!options[i].name)
            continue;
        printf("complete -c hearth -o %s", options[i].name);
        if (is_file(options[i].argument)) {
            fputs(" -r -F", stdout);
        } else if (options[i].argument) {
            fputs(" -x -a '", stdout);
            words_print(options[i].argument, " ");
            putchar('\'');
        }
        fputs(" -d '", stdout);
        help_print(help_of(i));
        fputs("'\n", stdout);
    }
}

void parse_completion(const struct context *context)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } forms[] = {{"bash", bash_print}, {"zsh", zsh_print}, {"fish", fish_print}, {"man", man_print}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(forms[i].name, context->value))
            continue;
        forms[i].print();
        exit(fflush(stdout) != 0);
    }
    refuse(context, "there are completions for bash, zsh and fish, and man");
}
