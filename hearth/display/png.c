/*
 * Pictures as files. PPM is written here (netpbm's P6: a text header, then red, green, blue bytes); PNG by libpng.
 */
#include "display/png.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#ifdef HAVE_PNG
#include <png.h>
#endif

#include "core/log.h"

static bool fail(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(char *error, size_t error_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return false;
}

bool picture_format_named(const char *name, enum picture_format *format)
{
    if (!strcmp(name, "png"))
        *format = PICTURE_PNG;
    else if (!strcmp(name, "ppm"))
        *format = PICTURE_PPM;
    else
        return false;
    return true;
}

/* One row as red, green, blue bytes. */
static void row_bytes(const struct surface *surface, unsigned y, uint8_t *row)
{
    const uint32_t *pixel = &surface->pixels[(size_t)y * surface->width];
    for (unsigned x = 0; x < surface->width; x++) {
        *row++ = (uint8_t)(pixel[x] >> 16);
        *row++ = (uint8_t)(pixel[x] >> 8);
        *row++ = (uint8_t)pixel[x];
    }
}

static bool ppm_write(const struct surface *surface, FILE *file, uint8_t *row)
{
    fprintf(file, "P6\n%u %u\n255\n", surface->width, surface->height);
    for (unsigned y = 0; y < surface->height; y++) {
        row_bytes(surface, y, row);
        if (fwrite(row, 3, surface->width, file) != surface->width)
            return false;
    }
    return true;
}

#ifdef HAVE_PNG
/* libpng leaves by longjmp: `row` and `file` are the caller's, so nothing is lost. */
static bool rows_write(png_structp png, png_infop info, const struct surface *surface, FILE *file,
                       uint8_t *row)
{
    if (setjmp(png_jmpbuf(png)))
        return false;
    png_init_io(png, file);
    png_set_IHDR(png, info, surface->width, surface->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (unsigned y = 0; y < surface->height; y++) {
        row_bytes(surface, y, row);
        png_write_row(png, row);
    }
    png_write_end(png, info);
    return true;
}

static void say_nothing(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static bool picture_write_png(const struct surface *surface, FILE *file, uint8_t *row)
{
    bool written = false;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, say_nothing);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (info)
        written = rows_write(png, info, surface, file, row);
    png_destroy_write_struct(&png, &info);
    return written;
}
#else
static bool picture_write_png(const struct surface *surface, FILE *file, uint8_t *row)
{
    (void)surface;
    (void)file;
    (void)row;
    return false;
}
#endif

static bool is_png(const char *path, enum picture_format format)
{
    size_t length = strlen(path);
    if (format != PICTURE_BY_NAME)
        return format == PICTURE_PNG;
    return length >= 4 && !strcasecmp(path + length - 4, ".png");
}

bool picture_write(const struct surface *surface, const char *path, enum picture_format format, char *error,
                   size_t error_size)
{
    bool png = is_png(path, format);
#ifndef HAVE_PNG
    if (png)
        return fail(error, error_size,
                    "'%s': hearth was built without libpng; a name that ends in .ppm works", path);
#endif
    FILE *file = fopen(path, "wbe");
    if (!file)
        return fail(error, error_size, "could not open '%s': %s", path, strerror(errno));
    uint8_t *row = allocate((size_t)surface->width * 3 + 1);
    errno = 0;
    bool written = (png ? picture_write_png : ppm_write)(surface, file, row);
    free(row);
    int why = errno;
    if (fclose(file)) {
        written = false;
        why = errno;
    }
    if (written)
        return true;
    unlink(path);
    return fail(error, error_size, "could not write '%s': %s", path, strerror(why ? why : EIO));
}
