/*
 * Pictures as files. PPM is written here (netpbm's P6: a text header, then red, green, blue bytes); PNG by libpng.
 */
#include "display/png.h"

#include <errno.h>
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
#include "host/library.h"

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
#define TEXT_OF(number)     #number
#define LIBRARY_NAME(major) "libpng16.so." TEXT_OF(major)

static __typeof__(&png_image_write_to_stdio) writer_find(void)
{
    __typeof__(&png_image_write_to_stdio) write_to_stdio;
    char error[128];
    bool loaded = library_load(LIBRARY_NAME(PNG_LIBPNG_VER_SONUM),
                               LIBRARY_SYMBOLS({"png_image_write_to_stdio", (void **)&write_to_stdio}), error,
                               sizeof(error));
    return loaded ? write_to_stdio : NULL;
}

static bool png_usable(void)
{
    return writer_find() != NULL;
}

static bool picture_write_png(const struct surface *surface, FILE *file, uint8_t *row)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = surface->width,
                       .height = surface->height,
                       .format = PNG_FORMAT_RGB};
    size_t stride = 3 * (size_t)surface->width;
    uint8_t *bytes = malloc(stride * surface->height + 1);

    (void)row;
    if (!bytes)
        return false;
    for (unsigned y = 0; y < surface->height; y++)
        row_bytes(surface, y, bytes + y * stride);
    bool written = writer_find()(&image, file, 0, bytes, 0, NULL) != 0;
    free(bytes);
    return written;
}
#else
static bool png_usable(void)
{
    return false;
}

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
    if (png && !png_usable())
        return fail(error, error_size, "'%s': there is no libpng here; a name that ends in .ppm works", path);
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
