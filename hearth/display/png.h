/*
 * A picture into a file: PNG (where hearth was built with libpng) or PPM (P6).
 */
#ifndef DISPLAY_PNG_H
#define DISPLAY_PNG_H

#include <stdbool.h>
#include <stddef.h>

#include "display/surface.h"

enum picture_format { PICTURE_BY_NAME, PICTURE_PPM, PICTURE_PNG };

/* "png", "ppm"; false for anything else. */
bool picture_format_named(const char *name, enum picture_format *format);

/* PICTURE_BY_NAME: PNG for a path that ends in .png, else PPM. False with one line in error; then no half-written file
 * is left behind. */
bool picture_write(const struct surface *surface, const char *path, enum picture_format format, char *error,
                   size_t error_size);

#endif
