/*
 * A picture's memory.
 */
#include "display/surface.h"

#include <stdlib.h>

#include "core/log.h"

void surface_resize(struct surface *surface, unsigned width, unsigned height)
{
    if (surface->pixels && surface->width == width && surface->height == height)
        return;
    surface_free(surface);
    surface->pixels = allocate((unsigned long)width * height * sizeof(surface->pixels[0]));
    surface->width = width;
    surface->height = height;
}

void surface_free(struct surface *surface)
{
    free(surface->pixels);
    *surface = (struct surface){0};
}
