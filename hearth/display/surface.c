/* A picture's memory, and lists of what is new in it. */
#include "display/surface.h"

#include <stdlib.h>
#include <string.h>

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

void surface_take(const struct display_source *source, struct surface *surface)
{
    struct changes changes;
    struct display_view *view = source->view_open(source->device);
    const struct surface *shown = source->view_look(view, &changes);
    surface_resize(surface, shown->width, shown->height);
    memcpy(surface->pixels, shown->pixels, (size_t)shown->width * shown->height * sizeof(shown->pixels[0]));
    source->view_close(view);
}

static void join(struct rectangle *a, const struct rectangle *b)
{
    a->left = a->left < b->left ? a->left : b->left;
    a->top = a->top < b->top ? a->top : b->top;
    a->right = a->right > b->right ? a->right : b->right;
    a->bottom = a->bottom > b->bottom ? a->bottom : b->bottom;
}

static uint64_t area(const struct rectangle *a)
{
    return (uint64_t)(a->right - a->left) * (a->bottom - a->top);
}

/* The one that grows least by taking it in. */
static struct rectangle *nearest(struct changes *changes, const struct rectangle *rectangle)
{
    uint64_t least = UINT64_MAX;
    struct rectangle *best = &changes->at[0];
    for (unsigned i = 0; i < changes->count; i++) {
        struct rectangle joined = changes->at[i];
        join(&joined, rectangle);
        uint64_t growth = area(&joined) - area(&changes->at[i]);
        if (growth < least) {
            least = growth;
            best = &changes->at[i];
        }
    }
    return best;
}

void changes_add(struct changes *changes, const struct rectangle *rectangle)
{
    if (changes->count < CHANGES_MOST)
        changes->at[changes->count++] = *rectangle;
    else
        join(nearest(changes, rectangle), rectangle);
}
