/* The display adapter, with a viewer that looks again and again: any register, picture memory through the window, modes. */
#include "fuzz/chips.h"

#include "devices/vga.h"

struct board {
    struct vga *vga;
    struct display_view *view;
    struct surface once;
};

/* A whole mode by Bochs' interface: the registers in the order of a driver. */
static void mode(struct chips *chips, struct input *input)
{
    for (unsigned index = 1; index < 10; index++) {
        uint32_t value = input_take(input, 2);
        if (index == 3)
            value = 4 + value % 8 * 4;
        if (index == 4)
            continue;
        bus_write_locked(chips->ports, 0x1ce, 2, index);
        bus_write_locked(chips->ports, 0x1d0, 2, value);
    }
    bus_write_locked(chips->ports, 0x1ce, 2, 4);
    bus_write_locked(chips->ports, 0x1d0, 2, input_take(input, 1));
}

static void registers(struct chips *chips, struct input *input)
{
    static const uint16_t indices[] = {0x3c4, 0x3ce, 0x3d4, 0x3b4};
    uint16_t index = indices[input_take(input, 1) % 4];
    for (unsigned i = input_take(input, 1) % 25; i; i--) {
        bus_write_locked(chips->ports, index, 1, i - 1);
        bus_write_locked(chips->ports, index + 1u, 1, input_take(input, 1));
    }
}

static void other(struct chips *chips, struct input *input)
{
    struct board *board = chips->opaque;
    const struct display_source *display = vga_display(board->vga);
    struct changes changes = {0};
    static struct text_screen screen;
    switch (input_take(input, 1) % 6) {
    case 0: display->view_look(board->view, &changes); break;
    case 1: display->text(display->device, &screen); break;
    case 2: mode(chips, input); break;
    case 3: registers(chips, input); break;
    case 4:
        bus_read_locked(chips->ports, 0x3da, 1);
        bus_write_locked(chips->ports, 0x3c0, 1, input_take(input, 1));
        bus_write_locked(chips->ports, 0x3c0, 1, input_take(input, 1));
        break;
    default:
        if (!input_take(input, 1))
            vga_reset(board->vga);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chips_place ports[] = {{0x3b0, 48}, {0x1ce, 4}, {0, 0}},
                                    mmio[] = {
                                        {0xa0000, 0xfffc}, {0xb0000, 0xfffc}, {0xfe020000, 0x1000}, {0, 0}};
    struct input input = {data, size};
    struct chips chips;
    chips_open(&chips);
    struct board board = {.vga = vga_create(chips.memory, chips.ports, chips.mmio, chips.clock)};
    vga_add_to_pci(board.vga, chips.pci, CHIPS_SLOT, NULL, 0);
    board.view = vga_display(board.vga)->view_open(vga_display(board.vga)->device);
    chips_place(&chips, CHIPS_SLOT, 0);
    chips_config(&chips, CHIPS_SLOT, 0x10, 4, 0xe0000000);
    chips.port_places = ports;
    chips.mmio_places = mmio;
    chips.other = other;
    chips.opaque = &board;
    chips_run(&chips, &input);
    vga_display(board.vga)->view_close(board.view);
    vga_destroy(board.vga);
    chips_close(&chips);
    return 0;
}
