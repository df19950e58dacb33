#include "commands/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *files_root = "";

static void path_make(char path[FILES_PATH], const char *format, va_list arguments)
{
    int length = snprintf(path, FILES_PATH, "%s", files_root);
    if (length >= 0 && length < FILES_PATH)
        vsnprintf(path + length, (size_t)(FILES_PATH - length), format, arguments);
}

const char *files_path(char path[FILES_PATH], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    path_make(path, format, arguments);
    va_end(arguments);
    return path;
}

bool files_exist(const char *format, ...)
{
    char path[FILES_PATH];
    va_list arguments;
    va_start(arguments, format);
    path_make(path, format, arguments);
    va_end(arguments);
    return access(path, F_OK) == 0;
}

/* Files of /proc have no size: read until the end. */
static char *whole(const char *path)
{
    size_t length = 0, room = 4096;
    char *text = malloc(room + 1);
    FILE *file = fopen(path, "re");
    while (file && text) {
        size_t got = fread(text + length, 1, room - length, file);
        length += got;
        if (!got)
            break;
        if (length == room)
            text = realloc(text, (room *= 2) + 1);
    }
    if (!file || !text) {
        free(text);
        return NULL;
    }
    fclose(file);
    text[length] = '\0';
    return text;
}

char *files_read(const char *format, ...)
{
    char path[FILES_PATH];
    va_list arguments;
    va_start(arguments, format);
    path_make(path, format, arguments);
    va_end(arguments);
    return whole(path);
}

bool files_line(char *line, size_t size, const char *format, ...)
{
    char path[FILES_PATH];
    va_list arguments;
    va_start(arguments, format);
    path_make(path, format, arguments);
    va_end(arguments);
    char *text = whole(path);
    if (!text)
        return false;
    snprintf(line, size, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
    return true;
}

bool files_write(const char *text, const char *format, ...)
{
    char path[FILES_PATH];
    va_list arguments;
    va_start(arguments, format);
    path_make(path, format, arguments);
    va_end(arguments);
    int descriptor = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    bool written = write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    close(descriptor);
    errno = error;
    return written;
}

bool word_in(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += length)
        if ((at == text || strchr(" \t\n", at[-1])) && (!at[length] || strchr(" \t\n", at[length])))
            return true;
    return false;
}
