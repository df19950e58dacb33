/*
 * For those who look again and again: of a picture that was drawn before only the lines are drawn anew that may have
 * changed, and of those only the part that did is told.
 *
 * What may have changed: everything, after a register has; the lines whose picture memory was written to. The planes'
 * 256 KiB are compared with a copy of them as they were drawn, which takes some microseconds. In the linear modes the
 * engine's log says which pages the guest wrote to (core/memory.h); where an engine keeps none, each line is made and
 * compared. Nothing of this is there while nobody looks.
 */
#include "devices/vga-frame.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    PAGES = VGA_MEMORY_SIZE / PAGE_SIZE,
    PLANES_SIZE = PLANE_SIZE * PLANES,
    BAND_GAP = 4, /* lines that may lie between two changed ones of the same rectangle */
    FONT_BYTE = 2,
};

/* All that a frame depends on beside picture memory, cursor and clock. */
struct registers {
    uint8_t misc_output, sequencer[SEQUENCER_REGISTERS], graphics[GRAPHICS_REGISTERS], crtc[CRTC_REGISTERS];
    uint8_t palette_source, attribute[ATTRIBUTE_REGISTERS], dac_mask, dac[256][3];
    uint16_t dispi[DISPI_REGISTERS];
};

struct cursor {
    bool on;
    unsigned location, first, last;
};

struct display_view {
    struct vga *vga;
    struct display_view *next;
    struct surface surface;
    bool drawn;
    struct registers registers; /* as drawn; so are the next three */
    struct cursor cursor;
    bool blink_on, blinks;
    uint8_t *planes;
    uint64_t pages[PAGES / 64]; /* of picture memory that were written to since */
};

static struct display_view *view_open(void *device)
{
    struct vga *vga = device;
    struct display_view *view = allocate(sizeof(*view));
    view->vga = vga;
    view->next = vga->views;
    vga->views = view;
    return view;
}

static void view_close(struct display_view *view)
{
    struct display_view **link = &view->vga->views;
    while (*link != view)
        link = &(*link)->next;
    *link = view->next;
    if (!view->vga->views)
        memory_log_stop(view->vga->memory, view->vga->picture);
    surface_free(&view->surface);
    free(view->planes);
    free(view);
}

void vga_touched(struct vga *vga, uint64_t offset, uint64_t size)
{
    for (struct display_view *view = vga->views; view; view = view->next)
        for (uint64_t page = offset / PAGE_SIZE; page <= (offset + size - 1) / PAGE_SIZE; page++)
            view->pages[page / 64] |= 1ull << page % 64;
}

/* ---- what may have changed */

static bool registers_changed(struct display_view *view, const struct vga *vga)
{
    static const uint8_t cursor[] = {CRTC_CURSOR_START, CRTC_CURSOR_END, CRTC_CURSOR_LOCATION_HIGH,
                                     CRTC_CURSOR_LOCATION_LOW};
    struct registers now;
    memset(&now, 0, sizeof(now));
    now.misc_output = vga->misc_output;
    memcpy(now.sequencer, vga->sequencer, sizeof(now.sequencer));
    memcpy(now.graphics, vga->graphics, sizeof(now.graphics));
    memcpy(now.crtc, vga->crtc, sizeof(now.crtc));
    for (unsigned i = 0; i < sizeof(cursor); i++)
        now.crtc[cursor[i]] = 0;
    now.palette_source = vga->attribute_index & ATTRIBUTE_PALETTE_ADDRESS_SOURCE;
    memcpy(now.attribute, vga->attribute, sizeof(now.attribute));
    now.dac_mask = vga->dac_mask;
    memcpy(now.dac, vga->dac, sizeof(now.dac));
    memcpy(now.dispi, vga->dispi, sizeof(now.dispi));
    if (!memcmp(&now, &view->registers, sizeof(now)))
        return false;
    view->registers = now;
    return true;
}

static struct cursor cursor_of(const struct frame *frame)
{
    const uint8_t *crtc = frame->vga->crtc;
    struct cursor cursor = {frame->cursor_on, frame->cursor_location, crtc[CRTC_CURSOR_START],
                            crtc[CRTC_CURSOR_END]};
    return cursor;
}

static bool same_cursor(const struct cursor *a, const struct cursor *b)
{
    return a->on == b->on &&
           (!a->on || (a->location == b->location && a->first == b->first && a->last == b->last));
}

static bool font_differs(const uint8_t *a, const uint8_t *b)
{
    for (unsigned i = FONT_BYTE; i < PAGE_SIZE; i += PLANES)
        if (a[i] != b[i])
            return true;
    return false;
}

/* Marks the pages of the planes that differ from what was drawn. Answers whether a font did: it lies under text in plane
 * 2, so every line may look different then. */
static bool planes_compare(struct display_view *view)
{
    bool fonts = false;
    if (!view->planes)
        view->planes = allocate(PLANES_SIZE);
    for (unsigned page = 0; page < PLANES_SIZE / PAGE_SIZE; page++) {
        uint8_t *drawn = view->planes + page * PAGE_SIZE;
        const uint8_t *now = view->vga->picture + page * PAGE_SIZE;
        if (!memcmp(drawn, now, PAGE_SIZE))
            continue;
        fonts = fonts || font_differs(drawn, now);
        memcpy(drawn, now, PAGE_SIZE);
        view->pages[page / 64] |= 1ull << page % 64;
    }
    return fonts;
}

/* Asks the engine, on behalf of all views: the answer is given once. */
static void log_ask(struct vga *vga)
{
    uint64_t pages[PAGES / 64] = {0};
    if (!memory_log_take(vga->memory, vga->picture, VGA_MEMORY_SIZE, pages))
        memset(pages, 0xff, sizeof(pages));
    for (struct display_view *view = vga->views; view; view = view->next)
        for (unsigned i = 0; i < PAGES / 64; i++)
            view->pages[i] |= pages[i];
}

/* Answers whether everything has to be drawn. */
static bool changes_find(struct display_view *view, const struct frame *frame)
{
    bool all = registers_changed(view, view->vga) || !view->drawn;
    if (frame->kind == FRAME_LINEAR)
        log_ask(view->vga);
    else if (planes_compare(view) && frame->kind == FRAME_TEXT)
        all = true;
    return all || (view->blinks && view->blink_on != frame->blink_on);
}

/* ---- drawing */

/* Draws the line; *part is what is new in it. False if nothing is. */
static bool line_draw(struct display_view *view, struct frame *frame, uint32_t *line, struct rectangle *part)
{
    uint32_t *shown = &view->surface.pixels[(uint64_t)frame->line * frame->width];
    unsigned left = 0, right = frame->width;
    vga_frame_line(frame, line);
    if (!memcmp(line, shown, frame->width * sizeof(*line)))
        return false;
    while (line[left] == shown[left])
        left++;
    while (line[right - 1] == shown[right - 1])
        right--;
    memcpy(shown + left, line + left, (right - left) * sizeof(*line));
    *part = (struct rectangle){left, frame->line, right, frame->line + 1};
    return true;
}

/* Lines close to each other become one rectangle. */
static void band_add(struct rectangle *band, const struct rectangle *part, struct changes *changes)
{
    if (band->bottom && band->bottom + BAND_GAP >= part->top) {
        band->left = part->left < band->left ? part->left : band->left;
        band->right = part->right > band->right ? part->right : band->right;
        band->bottom = part->bottom;
        return;
    }
    if (band->bottom)
        changes_add(changes, band);
    *band = *part;
}

static void lines_draw(struct display_view *view, struct frame *frame, bool all, struct changes *changes)
{
    uint32_t *line = allocate((frame->width + 1) * sizeof(*line));
    struct cursor cursor = cursor_of(frame);
    bool moved = !same_cursor(&cursor, &view->cursor);
    struct rectangle part, band = {0};

    for (; frame->line < frame->height; vga_frame_next(frame)) {
        bool here = moved && ((view->cursor.on && vga_frame_shows(frame, view->cursor.location)) ||
                              (cursor.on && vga_frame_shows(frame, cursor.location)));
        if ((all || here || vga_frame_reads(frame, view->pages)) && line_draw(view, frame, line, &part))
            band_add(&band, &part, changes);
    }
    if (band.bottom)
        changes_add(changes, &band);
    view->cursor = cursor;
    free(line);
}

static void draw_all(struct display_view *view, struct frame *frame, struct changes *changes)
{
    surface_resize(&view->surface, frame->width, frame->height);
    for (; frame->line < frame->height; vga_frame_next(frame))
        vga_frame_line(frame, &view->surface.pixels[(uint64_t)frame->line * frame->width]);
    view->cursor = cursor_of(frame);
    changes->resized = true;
    changes_add(changes, &(struct rectangle){0, 0, frame->width, frame->height});
}

static const struct surface *view_look(struct display_view *view, struct changes *changes)
{
    struct vga *vga = view->vga;
    struct frame frame;
    if (!vga_dispi_enabled(vga))
        vga_window_sync(vga);
    vga_frame_begin(&frame, vga);
    bool all = changes_find(view, &frame);
    *changes = (struct changes){0};
    if (!view->drawn || frame.width != view->surface.width || frame.height != view->surface.height)
        draw_all(view, &frame, changes);
    else
        lines_draw(view, &frame, all, changes);
    view->blinks = frame.blinks || (view->blinks && !all);
    view->blink_on = frame.blink_on;
    view->drawn = true;
    memset(view->pages, 0, sizeof(view->pages));
    return &view->surface;
}

const struct display_source vga_display_source = {
    .text = vga_text,
    .view_open = view_open,
    .view_look = view_look,
    .view_close = view_close,
};
