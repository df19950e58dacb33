/* Bochs' VBE interface: identifiers, modes, banks, sizes beyond reason. */
#include "unit/vga_bench.h"

static void test_dispi_probe(void **state)
{
    struct bench *bench = *state;
    dispi(bench, 0, 0xb0c0);
    assert_int_equal(dispi_read(bench, 0), 0xb0c0);
    dispi(bench, 0, 0xb0c5);
    assert_int_equal(dispi_read(bench, 0), 0xb0c5);
    dispi(bench, 0, 0x1234);
    assert_int_equal(dispi_read(bench, 0), 0xb0c5);
    assert_int_equal(dispi_read(bench, 10), 0x100);
    dispi(bench, 4, 2);
    assert_int_equal(dispi_read(bench, 1), 0x3e80);
    assert_int_equal(dispi_read(bench, 3), 0x20);
    dispi(bench, 4, 0);
    assert_int_equal(dispi_read(bench, 1), 0);
    out16(bench, 0x1ce, 0);
    assert_int_equal(in16(bench, 0x1d0), 0xb0c5); /* the data port of other layouts */
}

static void dispi_mode(struct bench *bench, unsigned width, unsigned height, unsigned bpp, uint16_t flags)
{
    dispi(bench, 4, 0);
    dispi(bench, 3, (uint16_t)bpp);
    dispi(bench, 1, (uint16_t)width);
    dispi(bench, 2, (uint16_t)height);
    dispi(bench, 5, 0);
    dispi(bench, 4, flags | 1);
    graphics(bench, 6, 5);
}

static void test_dispi_depths(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_12);
    set_dac(bench);
    static const struct {
        unsigned bpp;
        uint8_t bytes[4];
        uint32_t color;
    } rows[] = {
        {8, {0xc8}, 0},
        {15, {0x1f, 0x7c}, 0xff00ff},
        {16, {0xe0, 0x07}, 0x00ff00},
        {24, {0x33, 0x22, 0x11}, 0x112233},
        {32, {0x66, 0x55, 0x44, 0xaa}, 0x445566},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        dispi_mode(bench, 800, 600, rows[i].bpp, 0x40);
        unsigned bytes = (rows[i].bpp + 7) / 8, at = (599 * 800 + 799) * bytes;
        dispi(bench, 5, (uint16_t)(at >> 16));
        for (unsigned byte = 0; byte < bytes; byte++)
            poke(bench, 0xa0000 + (at & 0xffff) + byte, rows[i].bytes[byte]);
        struct surface surface = render(bench);
        assert_int_equal(surface.width, 800);
        assert_int_equal(surface.height, 600);
        assert_int_equal(pixel(&surface, 799, 599), rows[i].bpp == 8 ? dac_color(0xc8) : rows[i].color);
        assert_int_equal(pixel(&surface, 798, 599), rows[i].bpp == 8 ? dac_color(0) : 0);
        surface_free(&surface);
    }
}

static void test_dispi_planar(void **state)
{
    struct bench *bench = *state;
    set_dac(bench);
    set_mode(bench, &mode_12);
    dispi_mode(bench, 1024, 768, 4, 0);
    /* 98304 bytes a plane: the last byte lies in the second bank of 64 KiB. */
    dispi(bench, 5, 1);
    sequencer(bench, 2, 0x09);
    poke(bench, 0xa0000 + 98303 - 65536, 0x01);
    struct surface surface = render(bench);
    assert_int_equal(surface.width, 1024);
    assert_int_equal(pixel(&surface, 1023, 767), dac_color(mode_12.attribute[9]));
    assert_int_equal(pixel(&surface, 1022, 767), dac_color(0));
    surface_free(&surface);
}

static void test_dispi_bank_is_mapped(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    dispi_mode(bench, 1024, 768, 32, 0);
    for (unsigned i = 0; i < 64; i++)
        poke(bench, 0xa0000 + i, 0x5a);
    assert_true(is_mapped(bench, 0xa0000));
    dispi(bench, 5, 3);
    assert_int_equal(dispi_read(bench, 5), 3);
    assert_int_equal(peek(bench, 0xa0000), 0);
    poke(bench, 0xa0000, 0x77);
    dispi(bench, 5, 0);
    assert_int_equal(peek(bench, 0xa0000), 0x5a);
    struct surface surface = render(bench);
    assert_int_equal(pixel(&surface, 0xc000 % 1024, 0xc000 / 1024), 0x77);
    surface_free(&surface);
    dispi(bench, 4, 0);
    assert_false(is_mapped(bench, 0xa0000));
    /* Enabling clears unless told not to. */
    dispi_mode(bench, 1024, 768, 32, 0x80);
    assert_int_equal(peek(bench, 0xa0000), 0x5a);
    dispi_mode(bench, 1024, 768, 32, 0);
    assert_int_equal(peek(bench, 0xa0000), 0);
}

static void test_dispi_clamps(void **state)
{
    struct bench *bench = *state;
    static const uint16_t sizes[] = {0, 1, 7, 8, 640, 16000, 16001, 32767, 65535};
    static const uint16_t depths[] = {0, 1, 4, 8, 15, 16, 24, 32, 33, 65535};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), DEPTHS = sizeof(depths) / sizeof(depths[0]) };
    for (unsigned i = 0; i < SIZES * SIZES * DEPTHS; i++) {
        dispi_mode(bench, sizes[i % SIZES], sizes[i / SIZES % SIZES], depths[i / SIZES / SIZES], 0x80);
        dispi(bench, 6, 65535); /* virtual width */
        dispi(bench, 8, 65535); /* offsets */
        dispi(bench, 9, 65535);
        unsigned width = dispi_read(bench, 1), height = dispi_read(bench, 2), bpp = dispi_read(bench, 3);
        unsigned virtual_width = dispi_read(bench, 6), x = dispi_read(bench, 8), y = dispi_read(bench, 9);
        assert_true(width >= 1 && height >= 1 && x + width <= virtual_width);
        assert_true((uint64_t)(y + height) * virtual_width * (bpp == 15 ? 16 : bpp) / 8 <= VGA_MEMORY_SIZE);
    }
    dispi_mode(bench, 65535, 65535, 32, 0x80);
    struct surface surface = render(bench);
    assert_int_equal(surface.width, 16000);
    assert_int_equal(surface.height, 262);
    surface_free(&surface);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dispi_probe),          TEST(test_dispi_depths), TEST(test_dispi_planar),
        TEST(test_dispi_bank_is_mapped), TEST(test_dispi_clamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
