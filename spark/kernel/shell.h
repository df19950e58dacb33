/* shell.h: the prompt. commands.c has what can be typed there. */
#ifndef SPARK_SHELL_H
#define SPARK_SHELL_H

#define ARGUMENTS_MAX 8

struct command {
    const char *name, *arguments, *help;
    void (*run)(int count, char **words); /* words[0] is the name */
};

extern const struct command commands[];
extern const int command_count;

void shell_run(void) __attribute__((noreturn));

#endif
