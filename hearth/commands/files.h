/* Small files of /proc and /sys, below a root that tests can move. */
#ifndef COMMANDS_FILES_H
#define COMMANDS_FILES_H

#include <stdbool.h>
#include <stddef.h>

enum { FILES_PATH = 512 };

/* "" or a folder that stands for /. */
extern const char *files_root;

/* The path below the root, in a buffer of the caller's. */
const char *files_path(char path[FILES_PATH], const char *format, ...) __attribute__((format(printf, 2, 3)));
bool files_exist(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The whole file, to be freed, ending in a zero; NULL with errno. */
char *files_read(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its first line, without the newline; false with errno. */
bool files_line(char *line, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Replaces what is there; false with errno. */
bool files_write(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Is this word in the text, between blanks? */
bool word_in(const char *text, const char *word);

#endif
