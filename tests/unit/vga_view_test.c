/*
 * Looking again and again: whatever happened between two looks, the picture is the one that is drawn from nothing, and it
 * differs from the one before only where the list of changes says so.
 */
#include "unit/vga_bench.h"

enum { PAGES = VGA_MEMORY_SIZE / PAGE_SIZE };

struct watcher {
    const struct display_source *source;
    struct display_view *view;
    struct surface before;
    struct changes changes; /* of the last look */
};

static struct watcher watcher_open(struct bench *bench)
{
    struct watcher watcher = {.source = vga_display(bench->vga)};
    watcher.view = watcher.source->view_open(watcher.source->device);
    return watcher;
}

static void watcher_close(struct watcher *watcher)
{
    watcher->source->view_close(watcher->view);
    surface_free(&watcher->before);
}

static void copy_changes(struct surface *to, const struct surface *from, const struct changes *changes)
{
    for (unsigned i = 0; i < changes->count; i++) {
        const struct rectangle *at = &changes->at[i];
        assert_true(at->left < at->right && at->right <= from->width);
        assert_true(at->top < at->bottom && at->bottom <= from->height);
        for (unsigned y = at->top; y < at->bottom; y++)
            memcpy(&to->pixels[y * to->width + at->left], &from->pixels[y * from->width + at->left],
                   (at->right - at->left) * sizeof(to->pixels[0]));
    }
}

/* Answers how many pixels the changes cover. */
static unsigned look(struct bench *bench, struct watcher *watcher)
{
    const struct surface *shown = watcher->source->view_look(watcher->view, &watcher->changes);
    struct surface fresh = render(bench);
    size_t size = (size_t)shown->width * shown->height * sizeof(shown->pixels[0]);
    unsigned covered = 0;
    assert_int_equal(shown->width, fresh.width);
    assert_int_equal(shown->height, fresh.height);
    assert_memory_equal(shown->pixels, fresh.pixels, size);
    if (watcher->changes.resized)
        surface_resize(&watcher->before, shown->width, shown->height);
    assert_int_equal(watcher->before.width, shown->width);
    assert_int_equal(watcher->before.height, shown->height);
    copy_changes(&watcher->before, shown, &watcher->changes);
    assert_memory_equal(watcher->before.pixels, shown->pixels, size);
    for (unsigned i = 0; i < watcher->changes.count; i++) {
        const struct rectangle *at = &watcher->changes.at[i];
        covered += (at->right - at->left) * (at->bottom - at->top);
    }
    surface_free(&fresh);
    return covered;
}

static void load_font(struct bench *bench, uint8_t character, uint8_t row_bits)
{
    sequencer(bench, 2, 4), sequencer(bench, 4, 7), graphics(bench, 5, 0), graphics(bench, 6, 0);
    for (unsigned row = 0; row < 16; row++)
        poke(bench, 0xa0000 + character * 32u + row, row_bits);
    sequencer(bench, 2, 3), sequencer(bench, 4, 2), graphics(bench, 5, 0x10), graphics(bench, 6, 0x0e);
}

static void put_character(struct bench *bench, unsigned column, unsigned row, uint8_t character,
                          uint8_t attribute)
{
    poke(bench, 0xb8000 + (row * 80 + column) * 2, character);
    poke(bench, 0xb8001 + (row * 80 + column) * 2, attribute);
}

static void test_text(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    set_dac(bench);
    crtc(bench, 0x0a, 0x20); /* no cursor */
    load_font(bench, 'A', 0xff);
    struct watcher watcher = watcher_open(bench);
    assert_int_equal(look(bench, &watcher), 720 * 400);
    assert_true(watcher.changes.resized);
    assert_int_equal(look(bench, &watcher), 0);
    put_character(bench, 7, 3, 'A', 0x07);
    assert_int_equal(look(bench, &watcher), 8 * 16);
    assert_int_equal(watcher.changes.count, 1);
    assert_int_equal(watcher.changes.at[0].left, 7 * 9);
    assert_int_equal(watcher.changes.at[0].top, 3 * 16);
    assert_false(watcher.changes.resized);
    put_character(bench, 0, 24, 'A', 0x07);
    put_character(bench, 79, 0, 'A', 0x07);
    assert_int_equal(look(bench, &watcher), 2 * 8 * 16);
    assert_int_equal(watcher.changes.count, 2);
    load_font(bench, 'A', 0xf0); /* a font is no character, but all that have it look different */
    assert_int_equal(look(bench, &watcher), 4 * 16 + 2 * 4 * 16);
    watcher_close(&watcher);
}

static void test_cursor_and_blinking(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    set_dac(bench);
    load_font(bench, 'A', 0xff);
    for (unsigned i = 0; i < 2000; i++)
        put_character(bench, i % 80, i / 80, ' ', 0x07);
    crtc(bench, 0x0a, 14), crtc(bench, 0x0b, 15), crtc(bench, 0x0f, 85);
    struct watcher watcher = watcher_open(bench);
    look(bench, &watcher);
    crtc(bench, 0x0f, 86); /* one to the right */
    assert_int_equal(look(bench, &watcher), 18 * 2);
    clock_step(bench->clock, 300000000); /* the cursor blinks twice as fast as characters */
    assert_int_equal(look(bench, &watcher), 9 * 2);
    put_character(bench, 40, 12, 'A', 0x87);
    look(bench, &watcher);
    clock_step(bench->clock, 600000000);
    assert_int_equal(look(bench, &watcher), 9 * 2 + 8 * 16);
    crtc(bench, 0x0a, 0x20);
    look(bench, &watcher);
    clock_step(bench->clock, 900000000);
    assert_int_equal(look(bench, &watcher), 0);
    watcher_close(&watcher);
}

static void test_scrolling(void **state)
{
    struct bench *bench = *state;
    set_mode(bench, &mode_3);
    set_dac(bench);
    crtc(bench, 0x0a, 0x20);
    load_font(bench, 'A', 0xff);
    put_character(bench, 1, 5, 'A', 0x07);
    struct watcher watcher = watcher_open(bench);
    look(bench, &watcher);
    crtc(bench, 0x0d, 80); /* by the start address */
    assert_true(look(bench, &watcher) <= 2 * 8 * 16);
    watcher_close(&watcher);
}

static void test_mode_changes(void **state)
{
    struct bench *bench = *state;
    struct watcher watcher = watcher_open(bench);
    look(bench, &watcher);
    set_mode(bench, &mode_3);
    look(bench, &watcher);
    set_mode(bench, &mode_12);
    look(bench, &watcher);
    assert_true(watcher.changes.resized);
    set_mode(bench, &mode_13);
    assert_true(look(bench, &watcher));
    set_dac(bench);
    for (unsigned i = 0; i < 320; i++)
        poke(bench, 0xa0000 + i, (uint8_t)i);
    look(bench, &watcher);
    poke(bench, 0xa0000 + 320 * 100 + 3, 9);
    assert_int_equal(look(bench, &watcher), 2 * 2);
    vga_reset(bench->vga);
    look(bench, &watcher);
    watcher_close(&watcher);
}

/* ---- linear modes, with an engine that keeps a log as KVM does, and one that keeps none */

static struct {
    struct memory *memory;
    bool on;
    uint64_t pages[PAGES / 64];
    uint8_t *picture;
} kernel;

static bool log_changed(void *opaque)
{
    (void)opaque;
    kernel.on = !kernel.on;
    memset(kernel.pages, 0, sizeof(kernel.pages));
    return true;
}

static void log_collect(void *opaque)
{
    (void)opaque;
    for (unsigned page = 0; page < PAGES; page++)
        if (kernel.pages[page / 64] >> page % 64 & 1)
            memory_log_mark(kernel.memory, kernel.picture + (uint64_t)page * PAGE_SIZE, PAGE_SIZE);
    memset(kernel.pages, 0, sizeof(kernel.pages));
}

static void linear_mode(struct bench *bench, uint16_t width, uint16_t height, uint16_t depth)
{
    dispi(bench, 4, 0);
    dispi(bench, 1, width), dispi(bench, 2, height), dispi(bench, 3, depth);
    dispi(bench, 4, 0x41);
}

static void guest_writes(struct bench *bench, uint64_t offset, uint32_t value)
{
    poke(bench, 0xe0000000 + offset, (uint8_t)value);
    kernel.pages[offset / PAGE_SIZE / 64] |= 1ull << offset / PAGE_SIZE % 64;
}

static void frame_buffer_map(struct bench *bench)
{
    uint64_t length;
    bool writable;
    struct pci_bus *pci = pci_create(bench->ports, bench->mmio, bench->memory);
    vga_add_to_pci(bench->vga, pci, 2, NULL, 0);
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80001010);
    bus_write_locked(bench->ports, 0xcfc, 4, 0xe0000000);
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80001004);
    bus_write_locked(bench->ports, 0xcfc, 4, 2);
    kernel.memory = bench->memory;
    kernel.picture = memory_at(bench->memory, 0xe0000000, &length, &writable);
    kernel.on = false;
    assert_non_null(kernel.picture);
    bench->pci = pci;
}

/* What a driver finds in BAR2; the fields of the EDID from VESA's standard. */
static void test_registers_in_memory(void **state)
{
    static const uint8_t header[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    struct bench *bench = *state;
    uint8_t edid[128], sum = 0;
    frame_buffer_map(bench);
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80001018);
    bus_write_locked(bench->ports, 0xcfc, 4, 0xe8000000);
    for (unsigned i = 0; i < sizeof(edid); i++)
        sum += edid[i] = (uint8_t)bus_read_locked(bench->mmio, 0xe8000000 + i, 1);
    assert_memory_equal(edid, header, sizeof(header));
    assert_int_equal(sum, 0);
    assert_int_equal(edid[18], 1); /* version 1.4 */
    assert_int_equal(edid[19], 4);
    assert_int_equal(edid[126], 0); /* no more blocks */
    assert_int_equal(edid[54] | edid[55] << 8, 7100);
    assert_int_equal(edid[56] | (edid[58] & 0xf0) << 4, 1280);
    assert_int_equal(edid[57] | (edid[58] & 0x0f) << 8, 160);
    assert_int_equal(edid[59] | (edid[61] & 0xf0) << 4, 800);
    assert_int_equal(bus_read_locked(bench->mmio, 0xe8000000 + 4, 4), 0x00ffffff | (uint32_t)0xff << 16);
    assert_int_equal(bus_read_locked(bench->mmio, 0xe8000000 + 128, 4), 0);
    assert_int_equal(bus_read_locked(bench->mmio, 0xe8000600, 4), 8);
    assert_int_equal(bus_read_locked(bench->mmio, 0xe8000604, 4), 0x1e1e1e1e);
    assert_int_equal(bus_read_locked(bench->mmio, 0xe8000500, 2), 0xb0c5);
    bus_write_locked(bench->mmio, 0xe8000502, 2, 640);
    assert_int_equal(dispi_read(bench, 1), 640);
    bus_write_locked(bench->mmio, 0xe8000402, 1, 0x67); /* 3C2h */
    assert_int_equal(in8(bench, 0x3cc), 0x67);
    for (uint64_t at = 0; at < 4096; at++)
        for (unsigned size = 1; size <= 8; size *= 2)
            bus_read_locked(bench->mmio, 0xe8000000 + at, size);
}

static void check_linear(struct bench *bench)
{
    linear_mode(bench, 640, 480, 32);
    struct watcher one = watcher_open(bench), other = watcher_open(bench);
    assert_int_equal(look(bench, &one), 640 * 480);
    assert_int_equal(look(bench, &one), 0);
    guest_writes(bench, (100 * 640 + 30) * 4 + 1, 0xff);
    assert_int_equal(look(bench, &one), 1);
    assert_int_equal(one.changes.at[0].left, 30);
    assert_int_equal(one.changes.at[0].top, 100);
    guest_writes(bench, (200 * 640 + 30) * 4, 0xff);
    assert_int_equal(look(bench, &other), 640 * 480);
    assert_int_equal(look(bench, &one), 1); /* what the other one was told is not lost */
    guest_writes(bench, 640 * 480 * 4 + 5, 1);
    assert_int_equal(look(bench, &one), 0); /* outside the picture */
    uint32_t pixels[3] = {0x010203, 0x040506, 0x070809};
    assert_true(memory_write(bench->memory, 0xe0000000 + 50 * 640 * 4, pixels, sizeof(pixels))); /* DMA */
    assert_int_equal(look(bench, &one), 3);
    dispi(bench, 5, 1); /* a bank, trapped */
    out8(bench, 0x3c2, 0x63), graphics(bench, 6, 5);
    poke(bench, 0xa0000, 7);
    assert_int_equal(look(bench, &one), 1);
    assert_int_equal(one.changes.at[0].top, 25);
    dispi(bench, 9, 3); /* moved down */
    look(bench, &one);
    watcher_close(&one);
    look(bench, &other);
    linear_mode(bench, 320, 200, 16);
    look(bench, &other);
    guest_writes(bench, 0, 5);
    assert_int_equal(look(bench, &other), 1);
    watcher_close(&other);
}

static void test_linear_without_a_log(void **state)
{
    struct bench *bench = *state;
    frame_buffer_map(bench);
    check_linear(bench);
}

static void test_linear_with_a_log(void **state)
{
    struct bench *bench = *state;
    frame_buffer_map(bench);
    memory_listen(bench->memory,
                  &(struct memory_listener){.log_changed = log_changed, .log_collect = log_collect});
    assert_false(kernel.on);
    check_linear(bench);
    assert_false(kernel.on); /* nobody looks any more */
}

/* Random registers and writes between the looks of two watchers. */
static void test_hammer(void **state)
{
    static const struct mode *const modes[] = {&mode_3, &mode_4, &mode_6, &mode_12, &mode_13};
    struct bench *bench = *state;
    srand(29);
    set_dac(bench);
    struct watcher watchers[] = {watcher_open(bench), watcher_open(bench)};
    for (unsigned i = 0; i < 3000; i++) {
        unsigned seed = (unsigned)rand(), value = (unsigned)rand();
        switch (seed % 16) {
        case 0: crtc(bench, (uint8_t)(seed / 16 % 32), (uint8_t)value); break;
        case 1: graphics(bench, (uint8_t)(seed / 16 % 16), (uint8_t)value); break;
        case 2: sequencer(bench, (uint8_t)(seed / 16 % 8), (uint8_t)value); break;
        case 3: attribute(bench, (uint8_t)(seed / 16 % 32), (uint8_t)value); break;
        case 4: set_mode(bench, modes[value % 5]); break;
        case 5:
            if (value % 4 == 0)
                linear_mode(bench, value / 4 % 400, value / 1600 % 300, (uint16_t)(8 + value / 480000 % 25));
            break;
        case 6: dispi(bench, (uint16_t)(4 + seed / 16 % 7), (uint16_t)(value % 512)); break;
        case 7: clock_step(bench->clock, i * 50000000ull); break;
        default:
            for (unsigned j = 0; j < 30; j++)
                poke(bench, 0xa0000 + (value + j) % 0x20000, (uint8_t)rand());
        }
        if (seed / 16 % 4 == 0)
            look(bench, &watchers[seed / 64 % 2]);
    }
    watcher_close(&watchers[0]);
    watcher_close(&watchers[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_text),
        TEST(test_cursor_and_blinking),
        TEST(test_scrolling),
        TEST(test_mode_changes),
        TEST(test_registers_in_memory),
        TEST(test_linear_without_a_log),
        TEST(test_linear_with_a_log),
        TEST(test_hammer),
    };
    return cmocka_run_group_tests_name("vga view", tests, NULL, NULL);
}
