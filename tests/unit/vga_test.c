/* The VGA against IBM's register description: registers, planes, window, picture. */
#include "unit/vga_bench.h"

/* ---- registers */

static void test_registers_read_back(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    assert_int_equal(in8(bench, 0x3cc), 0x67);
    for (uint8_t i = 0; i < 5; i++) {
        out8(bench, 0x3c4, i);
        assert_int_equal(in8(bench, 0x3c5), mode_3.sequencer[i]);
    }
    for (uint8_t i = 0; i < 9; i++) {
        out8(bench, 0x3ce, i);
        assert_int_equal(in8(bench, 0x3cf), mode_3.graphics[i]);
    }
    for (uint8_t i = 0; i < 25; i++) {
        out8(bench, 0x3d4, i);
        assert_int_equal(in8(bench, 0x3d4), i);
        assert_int_equal(in8(bench, 0x3d5), mode_3.crtc[i]);
    }
    for (uint8_t i = 0; i < 21; i++) {
        in8(bench, 0x3da);
        out8(bench, 0x3c0, i | 0x20);
        assert_int_equal(in8(bench, 0x3c1), mode_3.attribute[i]);
        in8(bench, 0x3da);
        assert_int_equal(in8(bench, 0x3c0), i | 0x20);
    }
}

static void test_crtc_protection(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3); /* CR11 bit 7 protects 0 to 7 */
    crtc(bench, 0x01, 0x12);
    crtc(bench, 0x07, 0x00);
    assert_int_equal(in8(bench, 0x3d5), 0x0f); /* bit 4 alone has gone */
    out8(bench, 0x3d4, 0x01);
    assert_int_equal(in8(bench, 0x3d5), 0x4f);
    crtc(bench, 0x11, 0x0e);
    crtc(bench, 0x01, 0x12);
    assert_int_equal(in8(bench, 0x3d5), 0x12);
}

static void test_mono_addresses(void **state)
{
    struct bench *bench = *state;
    out8(bench, 0x3c2, 0x66); /* bit 0 clear: 3B4h, 3BAh */
    assert_int_equal(in8(bench, 0x3d4), 0xff);
    out8(bench, 0x3b4, 0x0e);
    out8(bench, 0x3b5, 0x5a);
    assert_int_equal(in8(bench, 0x3b5), 0x5a);
    out8(bench, 0x3c2, 0x67);
    assert_int_equal(in8(bench, 0x3b4), 0xff);
    assert_int_equal(in8(bench, 0x3d5), 0x5a);
}

static void test_dac(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    out8(bench, 0x3c7, 200);
    assert_int_equal(in8(bench, 0x3c7), 3); /* reading */
    assert_int_equal(in8(bench, 0x3c9), 200 >> 2);
    assert_int_equal(in8(bench, 0x3c9), 200 & 0x3f);
    assert_int_equal(in8(bench, 0x3c9), 1000 & 0x3f);
    assert_int_equal(in8(bench, 0x3c9), 201 >> 2);
    out8(bench, 0x3c8, 7);
    assert_int_equal(in8(bench, 0x3c7), 0);
    out8(bench, 0x3c9, 0xff); /* an entry that is not finished changes nothing */
    out8(bench, 0x3c7, 7);
    assert_int_equal(in8(bench, 0x3c9), 7 >> 2);
    out8(bench, 0x3c6, 0x0f);
    assert_int_equal(in8(bench, 0x3c6), 0x0f);
}

/* Mode 3: 449 lines of 100 characters of 9 dots at 28.322 MHz; 400 are shown, the retrace is lines 412 and 413. */
static void test_status_follows_the_clock(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    const uint64_t line = 900 * 1000000000ull / 28322000 + 1,
                   frame = 449 * 900 * 1000000000ull / 28322000 + 1;
    const struct {
        uint64_t at;
        uint8_t status;
    } expected[] = {
        {10, 0x00},
        {line * 85 / 100, 0x01},
        {line * 399 + line / 2, 0x00},
        {line * 401, 0x01},
        {line * 412 + line / 2, 0x09},
        {line * 413 + line / 2, 0x09},
        {line * 414 + line / 2, 0x01},
        {frame * 100 + line / 2, 0x00},
        {frame * 100 + line * 412 + line / 2, 0x09},
    };
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        clock_step(bench->clock, expected[i].at);
        assert_int_equal(in8(bench, 0x3da), expected[i].status);
    }
}

/* ---- planes */

/* Straight from the description of the graphics controller, a bit at a time. */
struct model {
    uint8_t plane[4][65536], latch[4];
    uint8_t graphics[9], map_mask, memory_mode;
};

static uint8_t model_bit(const struct model *model, unsigned plane, unsigned bit, uint8_t value)
{
    const uint8_t *gr = model->graphics;
    unsigned rotated = value >> ((bit + (gr[3] & 7)) & 7) & 1;
    unsigned latch = model->latch[plane] >> bit & 1, masked = gr[8] >> bit & 1, in = 0;
    switch (gr[5] & 3) {
    case 0: in = gr[1] >> plane & 1 ? gr[0] >> plane & 1 : rotated; break;
    case 1: return (uint8_t)latch;
    case 2: in = value >> plane & 1; break;
    case 3: return (uint8_t)(masked && rotated ? gr[0] >> plane & 1 : latch);
    }
    switch (gr[3] >> 3 & 3) {
    case 1: in &= latch; break;
    case 2: in |= latch; break;
    case 3: in ^= latch; break;
    }
    return (uint8_t)(masked ? in : latch);
}

static void model_write(struct model *model, uint16_t offset, uint8_t value)
{
    for (unsigned plane = 0; plane < 4; plane++) {
        uint16_t at = offset;
        bool chosen = model->map_mask >> plane & 1;
        if (model->memory_mode & 8) {
            chosen = chosen && (offset & 3) == plane;
            at = (offset & 0xfffc) + offset / 0x4000;
        } else if (!(model->memory_mode & 4)) {
            chosen = chosen && (offset & 1) == (plane & 1);
            at = offset & 0xfffe;
        }
        uint8_t byte = 0;
        for (unsigned bit = 0; bit < 8; bit++)
            byte |= (uint8_t)(model_bit(model, plane, bit, value) << bit);
        if (chosen)
            model->plane[plane][at] = byte;
    }
}

static uint8_t model_read(struct model *model, uint16_t offset)
{
    unsigned chosen = model->graphics[4] & 3;
    if (model->memory_mode & 8) {
        chosen = offset & 3;
        offset = (offset & 0xfffc) + offset / 0x4000;
    } else if (model->graphics[5] & 0x10) {
        chosen = (chosen & 2) + (offset & 1);
        offset &= 0xfffe;
    }
    for (unsigned plane = 0; plane < 4; plane++)
        model->latch[plane] = model->plane[plane][offset];
    if (!(model->graphics[5] & 8))
        return model->latch[chosen];
    uint8_t answer = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        bool same = true;
        for (unsigned plane = 0; plane < 4; plane++)
            if (model->graphics[7] >> plane & 1)
                same = same && (model->latch[plane] >> bit & 1) == (model->graphics[2] >> plane & 1);
        answer |= (uint8_t)(same << bit);
    }
    return answer;
}

static void model_random_register(struct bench *bench, struct model *model, unsigned seed)
{
    static const uint8_t bits[9] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
    unsigned index = seed % 11;
    uint8_t value = (uint8_t)(seed >> 8);
    if (index == 6)
        return; /* the window stays at A0000h, 64 KiB */
    if (index == 9) {
        model->map_mask = value & 0x0f;
        sequencer(bench, 2, value);
    } else if (index == 10) {
        model->memory_mode = value & 0x0e;
        sequencer(bench, 4, value);
    } else {
        /* Often the value that allows the window to be mapped. */
        if (seed & 0x10000)
            value = index == 8 ? 0xff : 0;
        model->graphics[index] = value & bits[index];
        graphics(bench, (uint8_t)index, value);
    }
}

static void test_planes_against_the_model(void **state)
{
    struct bench *bench = *state;
    struct model *model = calloc(1, sizeof(*model));
    set_mode(bench, &mode_12);
    memcpy(model->graphics, mode_12.graphics, 9);
    model->map_mask = 0x0f;
    model->memory_mode = 0x06;
    srand(1);
    for (unsigned i = 0; i < 300000; i++) {
        unsigned seed = (unsigned)rand(), offset = (unsigned)rand() & 0xc0ff;
        switch (seed % 64) {
        case 0: model_random_register(bench, model, seed / 64); break;
        case 1: assert_int_equal(peek(bench, 0xa0000 + offset), model_read(model, (uint16_t)offset)); break;
        default:
            /* Mapped memory leaves the latches alone; they are compared only through what they write. */
            if (!is_mapped(bench, 0xa0000))
                assert_int_equal(peek(bench, 0xa0000 + offset), model_read(model, (uint16_t)offset));
            poke(bench, 0xa0000 + offset, (uint8_t)(seed >> 8));
            model_write(model, (uint16_t)offset, (uint8_t)(seed >> 8));
        }
        if (is_mapped(bench, 0xa0000)) { /* then make both latches the same again */
            graphics(bench, 8, 0x7f);
            model->graphics[8] = 0x7f;
            assert_int_equal(peek(bench, 0xa0000 + offset), model_read(model, (uint16_t)offset));
        }
    }
    free(model);
}

static void test_window_map_select(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_12);
    static const uint64_t first[4] = {0xa0000, 0xa0000, 0xb0000, 0xb8000};
    static const uint64_t last[4] = {0xbffff, 0xaffff, 0xb7fff, 0xbffff};
    for (unsigned map = 0; map < 4; map++) {
        graphics(bench, 6, (uint8_t)(map << 2 | 1));
        poke(bench, first[map], 0x12);
        poke(bench, last[map], 0x34);
        assert_int_equal(peek(bench, first[map]), 0x12);
        assert_int_equal(peek(bench, last[map]), 0x34);
        if (first[map] > 0xa0000)
            assert_int_equal(peek(bench, first[map] - 1), 0xff);
        if (last[map] < 0xbffff)
            assert_int_equal(peek(bench, last[map] + 1), 0xff);
    }
    out8(bench, 0x3c2, 0xe1); /* bit 1 clear: no memory */
    assert_int_equal(peek(bench, 0xb8000), 0xff);
}

/* ---- text */

static void say(struct bench *bench, unsigned row, unsigned column, const char *what, uint8_t attribute)
{
    for (unsigned i = 0; what[i]; i++) {
        poke(bench, 0xb8000 + (row * 80 + column + i) * 2, (uint8_t)what[i]);
        poke(bench, 0xb8000 + (row * 80 + column + i) * 2 + 1, attribute);
    }
}

static void test_text_screen(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_3);
    say(bench, 0, 0, "Hello", 0x1f);
    say(bench, 24, 79, "!", 0xce);
    crtc(bench, 0x0e, 0x07);
    crtc(bench, 0x0f, 0xcf); /* 7CFh: row 24, column 79 */
    struct text_screen *screen = text(bench);
    assert_non_null(screen);
    assert_int_equal(screen->columns, 80);
    assert_int_equal(screen->rows, 25);
    assert_memory_equal(screen->character[0], "Hello", 5);
    assert_int_equal(screen->attribute[0][4], 0x1f);
    assert_int_equal(screen->character[24][79], '!');
    assert_int_equal(screen->attribute[24][79], 0xce);
    assert_true(screen->blink);
    assert_true(screen->cursor_shown);
    assert_int_equal(screen->cursor_row, 24);
    assert_int_equal(screen->cursor_column, 79);
    /* Attribute colour 6 goes through palette register 6, which is 14h, to the DAC. */
    assert_int_equal(screen->palette[6], dac_color(0x14));
    assert_int_equal(screen->palette[15], dac_color(0x3f));

    attribute(bench, 0x10, 0x04);
    crtc(bench, 0x0a, 0x20);
    screen = text(bench);
    assert_false(screen->blink);
    assert_false(screen->cursor_shown);
}

static void test_text_start_address(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    say(bench, 25, 3, "second page", 7); /* 2000 characters on */
    crtc(bench, 0x0c, 2000 >> 8);
    crtc(bench, 0x0d, 2000 & 0xff);
    crtc(bench, 0x0e, 2085 >> 8);
    crtc(bench, 0x0f, 2085 & 0xff);
    struct text_screen *screen = text(bench);
    assert_memory_equal(&screen->character[0][3], "second page", 11);
    assert_int_equal(screen->cursor_row, 1);
    assert_int_equal(screen->cursor_column, 5);
}

static void test_text_window_is_mapped_and_given_back(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    assert_false(is_mapped(bench, 0xb8000));
    /* As a BIOS writes: the cursor follows each character. */
    for (unsigned row = 0; row < 25; row++) {
        for (unsigned i = 0; i < 10; i++) {
            say(bench, row, i, &"0\0001\0002\0003\0004\0005\0006\0007\0008\0009"[i * 2], 7);
            crtc(bench, 0x0f, (uint8_t)(row * 80 + i + 1));
        }
    }
    assert_true(is_mapped(bench, 0xb8000));
    assert_true(is_mapped(bench, 0xbffff));
    assert_false(is_mapped(bench, 0xa0000));
    say(bench, 12, 0, "through memory", 7);
    assert_memory_equal(text(bench)->character[12], "through memory", 14);
    assert_memory_equal(text(bench)->character[0], "0123456789", 10);

    /* As a BIOS loads a font: plane 2 at A0000h. */
    sequencer(bench, 2, 4);
    sequencer(bench, 4, 7);
    graphics(bench, 4, 2);
    graphics(bench, 5, 0);
    graphics(bench, 6, 4);
    assert_false(is_mapped(bench, 0xb8000));
    for (unsigned i = 0; i < 8192; i++)
        poke(bench, 0xa0000 + i, (uint8_t)(i * 7));
    for (unsigned i = 0; i < 8192; i++)
        assert_int_equal(peek(bench, 0xa0000 + i), (uint8_t)(i * 7));
    sequencer(bench, 2, 3);
    sequencer(bench, 4, 3);
    graphics(bench, 4, 0);
    graphics(bench, 5, 0x10);
    graphics(bench, 6, 0x0e);
    assert_memory_equal(text(bench)->character[12], "through memory", 14);
    assert_int_equal(peek(bench, 0xb8000), '0');

    vga_reset(bench->vga);
    assert_false(is_mapped(bench, 0xb8000));
    assert_int_equal(text(bench)->character[12][0], ' '); /* blank */
}

/* 'A' as an 8x16 glyph with its left column lit and, in row 3, all of it. */
static void load_glyph(struct bench *bench, unsigned character)
{
    sequencer(bench, 2, 4);
    sequencer(bench, 4, 7);
    graphics(bench, 5, 0);
    graphics(bench, 6, 4);
    for (unsigned i = 0; i < 16; i++)
        poke(bench, 0xa0000 + character * 32 + i, i == 3 ? 0xff : 0x80);
    sequencer(bench, 2, 3);
    sequencer(bench, 4, 3);
    graphics(bench, 5, 0x10);
    graphics(bench, 6, 0x0e);
}

static void test_text_picture(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_3);
    attribute(bench, 0x13, 8); /* nine dots: 8 is no panning */
    load_glyph(bench, 'A');
    load_glyph(bench, 0xc4);
    say(bench, 1, 2, "A\xc4", 0x12);
    crtc(bench, 0x0f, 40); /* cursor in row 0, column 40 */
    struct surface surface = render(bench);
    assert_int_equal(surface.width, 720);
    assert_int_equal(surface.height, 400);
    uint32_t blue = dac_color(1), green = dac_color(2), black = dac_color(0);
    assert_int_equal(pixel(&surface, 18, 16), green);
    assert_int_equal(pixel(&surface, 19, 16), blue);
    assert_int_equal(pixel(&surface, 17, 16), black);
    for (unsigned x = 18; x < 26; x++)
        assert_int_equal(pixel(&surface, x, 19), green);
    assert_int_equal(pixel(&surface, 26, 19), blue);  /* the ninth dot of a letter is background */
    assert_int_equal(pixel(&surface, 35, 19), green); /* of a line character its eighth */
    /* The cursor covers scan lines 13 and 14, in the cell's attribute: 0, black on black. */
    say(bench, 0, 40, " ", 7);
    surface_free(&surface);
    surface = render(bench);
    assert_int_equal(pixel(&surface, 360, 12), black);
    assert_int_equal(pixel(&surface, 360, 13), dac_color(7));
    assert_int_equal(pixel(&surface, 368, 14), dac_color(7));
    assert_int_equal(pixel(&surface, 360, 15), black);
    surface_free(&surface);
}

/* ---- graphics modes */

static void test_mode_13(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_13);
    for (unsigned i = 0; i < 64000; i++)
        poke(bench, 0xa0000 + i, (uint8_t)(i * 31 >> 3));
    assert_true(is_mapped(bench, 0xa0000));
    assert_null(text(bench));
    struct surface surface = render(bench);
    assert_int_equal(surface.width, 640);
    assert_int_equal(surface.height, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = y / 2 * 320 + x / 2;
            assert_int_equal(pixel(&surface, x, y), dac_color((uint8_t)(i * 31 >> 3)));
        }
    surface_free(&surface);
}

/* Mode 13h unchained: bytes instead of double words, one plane after the other. */
static void test_mode_x(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_13);
    sequencer(bench, 4, 0x06);
    crtc(bench, 0x14, 0x00);
    crtc(bench, 0x17, 0xe3);
    crtc(bench, 0x0c, 0x40);
    for (unsigned x = 0; x < 320; x++) {
        sequencer(bench, 2, (uint8_t)(1 << x % 4));
        poke(bench, 0xa0000 + 0x4000 + 199 * 80 + x / 4, (uint8_t)(x * 3));
    }
    struct surface surface = render(bench);
    for (unsigned x = 0; x < 320; x++)
        assert_int_equal(pixel(&surface, x * 2, 398), dac_color((uint8_t)(x * 3)));
    assert_int_equal(pixel(&surface, 0, 0), dac_color(0));
    surface_free(&surface);
}

static void test_mode_12(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_12);
    /* Pixel (x, 479) in colour x % 16, by write mode 2 and the bit mask. */
    graphics(bench, 5, 2);
    for (unsigned x = 0; x < 640; x++) {
        graphics(bench, 8, (uint8_t)(0x80 >> x % 8));
        peek(bench, 0xa0000 + 479 * 80 + x / 8);
        poke(bench, 0xa0000 + 479 * 80 + x / 8, x % 16);
    }
    struct surface surface = render(bench);
    assert_int_equal(surface.width, 640);
    assert_int_equal(surface.height, 480);
    for (unsigned x = 0; x < 640; x++)
        assert_int_equal(pixel(&surface, x, 479), dac_color(mode_12.attribute[x % 16]));
    surface_free(&surface);
}

static void test_split_screen_and_panning(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_12);
    poke(bench, 0xa0000, 0x80);        /* shown again below the split */
    poke(bench, 0xa0000 + 8000, 0x01); /* row 100 of memory */
    crtc(bench, 0x0c, 8000 >> 8);
    crtc(bench, 0x0d, 8000 & 0xff);
    crtc(bench, 0x18, 99);
    crtc(bench, 0x07, 0x2e); /* line compare bits 8 and 9 clear */
    crtc(bench, 0x09, 0x00);
    crtc(bench, 0x11, 0x0c);
    crtc(bench, 0x07, 0x2e);
    attribute(bench, 0x13, 3);
    attribute(bench, 0x10, 0x21); /* no panning below the split */
    struct surface surface = render(bench);
    uint32_t white = dac_color(0x3f);
    assert_int_equal(pixel(&surface, 4, 0), white);
    assert_int_equal(pixel(&surface, 7, 0), dac_color(0));
    assert_int_equal(pixel(&surface, 0, 100), white);
    assert_int_equal(pixel(&surface, 0, 99), dac_color(0));
    surface_free(&surface);
}

static void test_cga_modes(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_4);
    poke(bench, 0xb8000, 0x1b);               /* line 0: colours 0 1 2 3 */
    poke(bench, 0xb8000 + 1, 0xc0);           /* then 3 0 0 0 */
    poke(bench, 0xb8000 + 0x2000 + 79, 0x02); /* line 1, last pixel: 2 */
    struct surface surface = render(bench);
    assert_int_equal(surface.width, 640);
    assert_int_equal(surface.height, 400);
    static const uint8_t expected[8] = {0, 0x13, 0x15, 0x17, 0x17, 0, 0, 0};
    for (unsigned x = 0; x < 8; x++)
        assert_int_equal(pixel(&surface, x * 2 + 1, 1), dac_color(expected[x]));
    assert_int_equal(pixel(&surface, 639, 2), dac_color(0x15));
    surface_free(&surface);

    vga_reset(bench->vga);
    set_dac(bench);
    set_mode(bench, &mode_6);
    poke(bench, 0xb8000 + 0x2000, 0x40); /* line 1, pixel 1 */
    surface = render(bench);
    assert_int_equal(pixel(&surface, 1, 2), dac_color(0x17));
    assert_int_equal(pixel(&surface, 0, 2), dac_color(0));
    assert_int_equal(pixel(&surface, 1, 0), dac_color(0));
    surface_free(&surface);
}

/* Random registers and accesses, with somebody looking all the time: sanitizers say what went wrong. */
static void test_hammer(void **state)
{
    struct bench *bench = *state;
    srand(17);
    set_mode(bench, &mode_3);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned seed = (unsigned)rand(), value = (unsigned)rand();
        switch (seed % 8) {
        case 0: out16(bench, (uint16_t)(0x3b0 + seed / 8 % 48), (uint16_t)value); break;
        case 1: in16(bench, (uint16_t)(0x3b0 + seed / 8 % 48)); break;
        case 2: crtc(bench, (uint8_t)(seed / 8 % 32), (uint8_t)value); break;
        case 3: graphics(bench, (uint8_t)(seed / 8 % 16), (uint8_t)value); break;
        case 4: sequencer(bench, (uint8_t)(seed / 8 % 8), (uint8_t)value); break;
        case 5:
            dispi(bench, (uint16_t)(seed / 8 % 13), (uint16_t)(value & (seed & 0x1000 ? 0xffff : 0x3ff)));
            break;
        case 6: attribute(bench, (uint8_t)(seed / 8 % 32), (uint8_t)value); break;
        case 7:
            for (unsigned j = 0; j < 20; j++)
                poke(bench, 0xa0000 + (value + j) % 0x20000, (uint8_t)value);
            peek(bench, 0xa0000 + value % 0x20000);
            break;
        }
        if (seed % 512 == 0) {
            text(bench);
            struct surface surface = render(bench);
            assert_true(surface.width && surface.height);
            surface_free(&surface);
        }
        if (seed % 8192 == 1)
            vga_reset(bench->vga);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registers_read_back),
        TEST(test_crtc_protection),
        TEST(test_mono_addresses),
        TEST(test_dac),
        TEST(test_status_follows_the_clock),
        TEST(test_planes_against_the_model),
        TEST(test_window_map_select),
        TEST(test_text_screen),
        TEST(test_text_start_address),
        TEST(test_text_window_is_mapped_and_given_back),
        TEST(test_text_picture),
        TEST(test_mode_13),
        TEST(test_mode_x),
        TEST(test_mode_12),
        TEST(test_split_screen_and_panning),
        TEST(test_cga_modes),
        TEST(test_hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
