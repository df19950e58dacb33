#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINES_A_SECOND = 1000 };

unsigned log_mask;
void (*log_before_exit)(void);

static FILE *log_file;

static const struct {
    const char *word;
    enum log_kind kind;
    const char *help;
} items[] = {
    {"unimp", LOG_UNIMP, "ports and memory that nobody claims"},
    {"guest_errors", LOG_GUEST_ERROR, "what the guest does and should not"},
    {"int", LOG_INTERRUPT, "exceptions and interrupts as they are delivered (soft engine)"},
    {"cpu_reset", LOG_RESET, "resets, with the state of the CPU before"},
    {"in_asm", LOG_IN_ASM, "guest code, disassembled when it is first decoded (soft engine)"},
};
enum { ITEMS = sizeof(items) / sizeof(items[0]) };

void log_items_print(void)
{
    printf("Log items (comma separated):\n");
    for (size_t i = 0; i < ITEMS; i++)
        printf("%-15s %s\n", items[i].word, items[i].help);
}

static bool item_find(const char *word, size_t length, unsigned *mask)
{
    for (size_t i = 0; i < ITEMS; i++) {
        if (strlen(items[i].word) == length && !strncmp(items[i].word, word, length)) {
            *mask |= items[i].kind;
            return true;
        }
    }
    return false;
}

bool log_parse(const char *list, unsigned *mask, const char **bad)
{
    for (const char *word = list; *word;) {
        size_t length = strcspn(word, ",");
        if (!item_find(word, length, mask)) {
            *bad = word;
            return false;
        }
        word += length;
        word += *word == ',';
    }
    return true;
}

bool log_open(const char *path)
{
    log_file = fopen(path, "we");
    if (log_file)
        setvbuf(log_file, NULL, _IOLBF, 0);
    return log_file != NULL;
}

/* A guest can make any number of lines; a disk and a reader cannot take them. */
static bool rate_allows(enum log_kind kind, FILE *out)
{
    static struct {
        time_t second;
        unsigned lines;
    } rates[ITEMS];
    unsigned index = (unsigned)__builtin_ctz(kind);
    time_t now = time(NULL);

    if (rates[index].second != now) {
        if (rates[index].lines > LINES_A_SECOND)
            fprintf(out, "(%u more lines left out)\n", rates[index].lines - LINES_A_SECOND);
        rates[index].second = now;
        rates[index].lines = 0;
    }
    return ++rates[index].lines <= LINES_A_SECOND;
}

void log_guest(enum log_kind kind, const char *format, ...)
{
    FILE *out = log_file ? log_file : stderr;
    va_list arguments;

    if (!log_wanted(kind) || !rate_allows(kind, out))
        return;
    va_start(arguments, format);
    vfprintf(out, format, arguments);
    va_end(arguments);
    fputc('\n', out);
}

static void say(const char *format, va_list arguments)
{
    fputs("hearth: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void die(const char *format, ...)
{
    va_list arguments;
    if (log_before_exit)
        log_before_exit();
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    exit(1);
}

void *allocate(unsigned long size)
{
    void *memory = calloc(1, size);
    if (!memory)
        die("out of memory");
    return memory;
}
