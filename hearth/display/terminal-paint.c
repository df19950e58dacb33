/*
 * Only cells that differ are sent, with as few changes of position and colour as that needs.
 * Source: ECMA-48 (CUP, SGR), xterm's ctlseqs for 256 and direct colours.
 */
#include "display/terminal-paint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "display/codepage.h"

enum { UPPER_HALF = 0x2580, ROOM_FOR_CELL = 128, NO_COLOR = 0xffffffff };

static const struct paint_cell empty = {' ', false, 0xaaaaaa, 0};

/* ---- set-up */

static bool contains(const char *text, const char *part)
{
    return text && strcasestr(text, part);
}

static bool locale_is_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (unsigned i = 0; i < 3; i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return contains(value, "utf-8") || contains(value, "utf8");
    }
    return false;
}

bool painter_init(struct painter *painter)
{
    const char *terminal = getenv("TERM"), *colors = getenv("COLORTERM");
    *painter = (struct painter){.unknown = true};
    if (!terminal || !*terminal || !strcmp(terminal, "dumb"))
        return false;
    painter->utf8 = locale_is_utf8();
    if (contains(colors, "truecolor") || contains(colors, "24bit") || contains(terminal, "direct"))
        painter->depth = COLORS_TRUE;
    else if (contains(terminal, "256"))
        painter->depth = COLORS_256;
    return true;
}

void painter_free(struct painter *painter)
{
    free(painter->wanted);
    free(painter->shown);
    free(painter->bytes);
    *painter = (struct painter){0};
}

void painter_resize(struct painter *painter, unsigned columns, unsigned rows)
{
    free(painter->wanted);
    free(painter->shown);
    painter->columns = columns < PAINT_COLUMNS_MOST ? columns : PAINT_COLUMNS_MOST;
    painter->rows = rows < PAINT_ROWS_MOST ? rows : PAINT_ROWS_MOST;
    size_t cells = (size_t)painter->columns * painter->rows;
    painter->wanted = allocate(cells * sizeof(painter->wanted[0]) + 1);
    painter->shown = allocate(cells * sizeof(painter->shown[0]) + 1);
    painter->unknown = true;
}

/* ---- what is wanted */

static void clear(struct painter *painter)
{
    for (size_t i = 0; i < (size_t)painter->columns * painter->rows; i++)
        painter->wanted[i] = empty;
    painter->cursor_wanted = false;
}

/* Moves the part that is shown no further than the cursor needs. */
static unsigned scroll(unsigned from, unsigned cursor, unsigned shown, unsigned all)
{
    if (all <= shown)
        return 0;
    if (cursor < from)
        from = cursor;
    else if (cursor >= from + shown)
        from = cursor - shown + 1;
    return from > all - shown ? all - shown : from;
}

static struct paint_cell text_cell(const struct painter *painter, const struct text_screen *screen,
                                   unsigned row, unsigned column)
{
    uint8_t attribute = screen->attribute[row][column], character = screen->character[row][column];
    struct paint_cell cell = {
        .code = painter->utf8 ? codepage_unicode(character) : (uint16_t)codepage_ascii(character),
        .blink = screen->blink && attribute & 0x80,
        .foreground = screen->palette[attribute & 0x0f],
        .background = screen->palette[screen->blink ? attribute >> 4 & 7 : attribute >> 4],
    };
    if (cell.code == ' ') { /* all alike, so that a change of their ink is none */
        cell.blink = false;
        cell.foreground = empty.foreground;
    }
    return cell;
}

void painter_text(struct painter *painter, const struct text_screen *screen)
{
    clear(painter);
    bool cursor =
        screen->cursor_shown && screen->cursor_column < screen->columns && screen->cursor_row < screen->rows;
    unsigned column = cursor ? screen->cursor_column : painter->scroll_column;
    unsigned row = cursor ? screen->cursor_row : painter->scroll_row;
    painter->scroll_column = scroll(painter->scroll_column, column, painter->columns, screen->columns);
    painter->scroll_row = scroll(painter->scroll_row, row, painter->rows, screen->rows);
    for (unsigned y = 0; y < painter->rows && painter->scroll_row + y < screen->rows; y++)
        for (unsigned x = 0; x < painter->columns && painter->scroll_column + x < screen->columns; x++)
            painter->wanted[(size_t)y * painter->columns + x] =
                text_cell(painter, screen, painter->scroll_row + y, painter->scroll_column + x);
    painter->cursor_wanted = cursor;
    painter->cursor_column = column - painter->scroll_column;
    painter->cursor_row = row - painter->scroll_row;
}

/* The mean of a rectangle of the picture; large ones are sampled. */
static uint32_t mean(const struct surface *surface, unsigned left, unsigned top, unsigned right,
                     unsigned bottom)
{
    enum { SAMPLES = 8 };
    unsigned red = 0, green = 0, blue = 0, count = 0;
    unsigned step_x = (right - left) / SAMPLES + 1, step_y = (bottom - top) / SAMPLES + 1;
    for (unsigned y = top; y < bottom; y += step_y)
        for (unsigned x = left; x < right; x += step_x) {
            uint32_t pixel = surface->pixels[(size_t)y * surface->width + x];
            red += pixel >> 16 & 0xff;
            green += pixel >> 8 & 0xff;
            blue += pixel & 0xff;
            count++;
        }
    return count ? red / count << 16 | green / count << 8 | blue / count : 0;
}

/* The colour of one of `columns` x `rows` squares that the picture is divided into. */
static uint32_t square(const struct surface *surface, unsigned x, unsigned y, unsigned columns, unsigned rows)
{
    uint64_t width = surface->width, height = surface->height;
    unsigned left = (unsigned)(x * width / columns), right = (unsigned)((x + 1) * width / columns);
    unsigned top = (unsigned)(y * height / rows), bottom = (unsigned)((y + 1) * height / rows);
    return mean(surface, left, top, right > left ? right : left + 1, bottom > top ? bottom : top + 1);
}

void painter_picture(struct painter *painter, const struct surface *surface)
{
    clear(painter);
    if (!surface->width || !surface->height || !painter->columns || !painter->rows)
        return;
    /* Half a character is about as high as it is wide. */
    uint64_t columns = painter->columns, rows = painter->rows * 2ull;
    if (columns * surface->height > rows * surface->width)
        columns = rows * surface->width / surface->height;
    else
        rows = columns * surface->height / surface->width;
    columns = columns ? columns : 1;
    rows = rows > 1 ? rows & ~1ull : 2;
    for (unsigned y = 0; y < rows / 2; y++)
        for (unsigned x = 0; x < columns; x++) {
            uint32_t upper = square(surface, x, y * 2, (unsigned)columns, (unsigned)rows);
            uint32_t lower = square(surface, x, y * 2 + 1, (unsigned)columns, (unsigned)rows);
            struct paint_cell cell = {UPPER_HALF, false, upper, lower};
            /* Without half blocks one square of the mean colour. */
            if (!painter->utf8)
                cell = (struct paint_cell){' ', false, upper,
                                           ((upper >> 1) & 0x7f7f7f) + ((lower >> 1) & 0x7f7f7f)};
            painter->wanted[(size_t)y * painter->columns + x] = cell;
        }
}

void painter_line(struct painter *painter, const char *text)
{
    if (!painter->rows)
        return;
    struct paint_cell *row = &painter->wanted[(size_t)(painter->rows - 1) * painter->columns];
    for (unsigned x = 0; x < painter->columns; x++)
        row[x] = (struct paint_cell){*text ? (uint8_t)*text++ : ' ', false, 0, 0xaaaaaa};
}

/* ---- bytes */

static void room_for_cell(struct painter *painter)
{
    if (painter->count + ROOM_FOR_CELL <= painter->size)
        return;
    size_t size = painter->size ? painter->size * 2 : 65536;
    char *bytes = realloc(painter->bytes, size);
    if (!bytes)
        die("out of memory");
    painter->bytes = bytes;
    painter->size = size;
}

static void emit(struct painter *painter, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void emit(struct painter *painter, const char *format, ...)
{
    va_list arguments;
    room_for_cell(painter);
    va_start(arguments, format);
    painter->count +=
        (size_t)vsnprintf(painter->bytes + painter->count, painter->size - painter->count, format, arguments);
    va_end(arguments);
}

static unsigned distance(uint32_t a, uint32_t b)
{
    unsigned sum = 0;
    for (unsigned shift = 0; shift < 24; shift += 8) {
        int difference = (int)(a >> shift & 0xff) - (int)(b >> shift & 0xff);
        sum += (unsigned)(difference * difference);
    }
    return sum;
}

static unsigned nearest_16(uint32_t color)
{
    /* in ANSI's order: red is bit 0, blue bit 2 */
    static const uint32_t colors[16] = {0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa,
                                        0x00aaaa, 0xaaaaaa, 0x555555, 0xff5555, 0x55ff55, 0xffff55,
                                        0x5555ff, 0xff55ff, 0x55ffff, 0xffffff};
    unsigned best = 0;
    for (unsigned i = 1; i < 16; i++)
        if (distance(colors[i], color) < distance(colors[best], color))
            best = i;
    return best;
}

/* The 6x6x6 cube at 16, whose steps are 0, 95, 135, ... 255, and the 24 greys at 232, which are 8, 18, ... 238. */
static unsigned nearest_256(uint32_t color)
{
    unsigned index = 16, cube = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        unsigned value = color >> shift & 0xff;
        unsigned step = value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
        index += step * (shift == 16 ? 36u : shift == 8 ? 6u : 1u);
        cube = cube << 8 | (step ? 55 + step * 40 : 0);
    }
    unsigned mean = ((color >> 16 & 0xff) + (color >> 8 & 0xff) + (color & 0xff)) / 3;
    unsigned grey = mean < 8 ? 0 : mean > 238 ? 23 : (mean - 3) / 10;
    uint32_t level = 8 + grey * 10;
    return distance(level << 16 | level << 8 | level, color) < distance(cube, color) ? 232 + grey : index;
}

static void emit_color(struct painter *painter, uint32_t color, bool background)
{
    unsigned base = background ? 10 : 0;
    switch (painter->depth) {
    case COLORS_TRUE:
        emit(painter, ";%u;2;%u;%u;%u", 38 + base, color >> 16 & 0xff, color >> 8 & 0xff, color & 0xff);
        break;
    case COLORS_256: emit(painter, ";%u;5;%u", 38 + base, nearest_256(color)); break;
    case COLORS_16: {
        unsigned index = nearest_16(color);
        emit(painter, ";%u", (index < 8 ? 30 + index : 90 + index - 8) + base);
        break;
    }
    }
}

static bool same(const struct paint_cell *a, const struct paint_cell *b)
{
    return a->code == b->code && a->blink == b->blink && a->foreground == b->foreground &&
           a->background == b->background;
}

/* `pen` is how the terminal writes now. */
static void emit_cell(struct painter *painter, const struct paint_cell *cell, struct paint_cell *pen)
{
    char bytes[3];
    if (cell->blink != pen->blink || cell->foreground != pen->foreground ||
        cell->background != pen->background) {
        emit(painter, "\033[0%s", cell->blink ? ";5" : "");
        emit_color(painter, cell->foreground, false);
        emit_color(painter, cell->background, true);
        emit(painter, "m");
    }
    size_t length = utf8_encode(cell->code, bytes);
    emit(painter, "%.*s", (int)length, bytes);
    *pen = *cell;
}

static void emit_cells(struct painter *painter)
{
    struct paint_cell pen = {.foreground = NO_COLOR};
    for (unsigned y = 0; y < painter->rows; y++)
        for (unsigned x = 0, next = PAINT_COLUMNS_MOST; x < painter->columns; x++) {
            size_t at = (size_t)y * painter->columns + x;
            if (!painter->unknown && same(&painter->wanted[at], &painter->shown[at]))
                continue;
            if (x != next)
                emit(painter, "\033[%u;%uH", y + 1, x + 1);
            emit_cell(painter, &painter->wanted[at], &pen);
            painter->shown[at] = painter->wanted[at];
            next = x + 1;
        }
}

void painter_paint(struct painter *painter)
{
    bool cursor_moves = painter->cursor_wanted != painter->cursor_shown ||
                        (painter->cursor_wanted && (painter->cursor_column != painter->cursor_shown_column ||
                                                    painter->cursor_row != painter->cursor_shown_row));
    painter->count = 0;
    /* Hidden meanwhile, or it would be seen running through the picture. */
    if (painter->cursor_shown || painter->unknown)
        emit(painter, "\033[?25l");
    size_t before = painter->count;
    if (painter->unknown)
        emit(painter, "\033[0m\033[2J");
    emit_cells(painter);
    if (painter->count == before && !cursor_moves) {
        painter->count = 0;
        return;
    }
    if (painter->cursor_wanted)
        emit(painter, "\033[%u;%uH\033[?25h", painter->cursor_row + 1, painter->cursor_column + 1);
    painter->cursor_shown = painter->cursor_wanted;
    painter->cursor_shown_column = painter->cursor_column;
    painter->cursor_shown_row = painter->cursor_row;
    painter->unknown = false;
}
