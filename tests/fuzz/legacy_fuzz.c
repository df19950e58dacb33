/*
 * The chips of the ISA bus together: 8259As, 8254, clock, UART, DMA, keyboard controller with keyboard, mouse and VMware's
 * pointer, ports 61h, 92h and F0h, HPET and IOAPIC.
 */
#include "fuzz/chips.h"

#include "devices/dma.h"
#include "devices/ferr.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "devices/pic.h"
#include "devices/pit.h"
#include "devices/port61.h"
#include "devices/port92.h"
#include "devices/ps2.h"
#include "devices/rtc.h"
#include "devices/uart.h"

struct board {
    struct character_port character;
    struct ps2 *ps2;
    struct pic *pic;
    struct ioapic *ioapic;
};

static void host_write(void *host, const uint8_t *bytes, size_t count)
{
    (void)host, (void)bytes, (void)count;
}

/* From outside: characters, keys, the pointer; and the processor's acknowledge cycle and end of interrupt. */
static void other(struct chips *chips, struct input *input)
{
    struct board *board = chips->opaque;
    struct input_sink sink = ps2_input(board->ps2);
    uint8_t bytes[4] = {1, 2, 3, 4};
    size_t room;
    switch (input_take(input, 1) % 5) {
    case 0:
        room = board->character.room(board->character.device);
        if (room)
            board->character.receive(board->character.device, bytes, room < 4 ? room : 4);
        break;
    case 1: sink.key(sink.device, (uint16_t)input_take(input, 2), input_take(input, 1) & 1); break;
    case 2:
        sink.pointer(sink.device,
                     &(struct pointer_event){false, (int)input_take(input, 4), (int)input_take(input, 4),
                                             (int8_t)input_take(input, 1), input_take(input, 1)});
        break;
    case 3: pic_acknowledge(board->pic); break;
    default: ioapic_end_of_interrupt(board->ioapic, (uint8_t)input_take(input, 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chips_place ports[] = {{0x00, 0x10}, {0x20, 2},  {0x40, 4}, {0x60, 5},  {0x70, 2},
                                               {0x80, 16},   {0x92, 1},  {0xa0, 2}, {0xc0, 32}, {0xf0, 2},
                                               {0x3f8, 8},   {0x4d0, 2}, {0, 0}},
                                    mmio[] = {{HPET_ADDRESS, 0x200}, {0xfec00000, 0x60}, {0, 0}};
    struct input input = {data, size};
    struct chips chips;
    struct board board = {.character = {.write = host_write, .is_there = true}};
    struct irq_line line = chips_irq(), lines[HPET_LINES] = {0};
    chips_open(&chips);
    chips_map_ram(&chips);
    for (unsigned i = 16; i < 24; i++)
        lines[i] = line;
    struct irq_line isa[16];
    struct pic *pic = board.pic = pic_create(chips.ports, &line);
    board.ioapic = ioapic_create(chips.mmio, chips_message, NULL);
    for (int i = 0; i < 16; i++)
        isa[i] = i & 1 ? pic_line(pic, i) : ioapic_line(board.ioapic, i);
    struct pit *pit = pit_create(chips.ports, &isa[0], chips.clock);
    struct port61 *port61 = port61_create(chips.ports, pit, chips.clock);
    struct port92 *port92 = port92_create(chips.ports, &line, chips_ask, NULL);
    struct ferr *ferr = ferr_create(chips.ports, &isa[13], &line);
    struct rtc *rtc = rtc_create(chips.ports, &isa[8], chips.clock, 0);
    rtc_start_at(rtc, 951782399); /* the same in every run */
    struct hpet *hpet = hpet_create(chips.mmio, chips.clock, lines);
    struct dma *dma = dma_create(chips.ports, chips.memory);
    struct ps2_wiring wiring = {isa[1], isa[12], line, chips.clock, chips_ask, NULL};
    board.ps2 = ps2_create(chips.ports, &wiring);
    struct uart *uart = uart_create(chips.ports, 0x3f8, &isa[4], chips.clock, &board.character);
    chips.port_places = ports;
    chips.mmio_places = mmio;
    chips.other = other;
    chips.opaque = &board;
    chips_run(&chips, &input);
    uart_destroy(uart);
    ps2_destroy(board.ps2);
    dma_destroy(dma);
    hpet_destroy(hpet);
    rtc_destroy(rtc);
    ferr_destroy(ferr);
    port92_destroy(port92);
    port61_destroy(port61);
    pit_destroy(pit);
    ioapic_destroy(board.ioapic);
    pic_destroy(pic);
    chips_close(&chips);
    return 0;
}
