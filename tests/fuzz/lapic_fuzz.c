/* The software CPU's local APIC: its page, its MSRs, messages from elsewhere, its pins, time; and the CPU's acknowledge cycle. */
#include <stdbool.h>

#include "core/clock.h"
#include "cpu/soft/lapic.h"
#include "fuzz/fuzz.h"

enum { STEPS_MOST = 3000 };
#define PAGE 0xfee00000ull

struct board {
    struct lapic *lapic;
    struct clock *clock;
    uint64_t now, tsc_offset;
};

static void on_interrupt(void *opaque, bool pending)
{
    (void)opaque, (void)pending;
}

static void on_signal(void *opaque, enum delivery delivery, uint8_t vector)
{
    (void)opaque, (void)delivery, (void)vector;
}

static void on_send(void *opaque, const struct interrupt_message *message, enum shorthand shorthand)
{
    (void)opaque, (void)message, (void)shorthand;
}

static void on_end(void *opaque, uint8_t vector)
{
    (void)opaque, (void)vector;
}

static void on_move(void *opaque)
{
    (void)opaque;
}

static uint64_t take_wide(struct input *input)
{
    uint64_t low = input_take(input, 4);
    return low & 1 ? low | (uint64_t)input_take(input, 4) << 32 : low;
}

static void msr(struct board *board, struct input *input)
{
    static const uint32_t msrs[] = {0x1b, 0x6e0};
    unsigned which = input_take(input, 1);
    uint32_t number = which < 64 ? msrs[which & 1] : 0x800 + which % 0x40;
    uint64_t value;
    if (input_take(input, 1) & 1)
        lapic_msr_read(board->lapic, number, &value);
    else
        lapic_msr_write(board->lapic, number,
                        number == 0x1b ? PAGE | input_take(input, 2) : take_wide(input));
}

static void message(struct board *board, struct input *input)
{
    struct interrupt_message message = {.vector = (uint8_t)input_take(input, 1)};
    unsigned how = input_take(input, 1);
    message.level = how & 1;
    message.logical = how & 2;
    message.delivery = (enum delivery)(how >> 2 & 7);
    message.destination = how & 0x20 ? input_take(input, 4) : input_take(input, 1);
    if (lapic_accepts(board->lapic, &message))
        lapic_deliver(board->lapic, &message);
}

static void step(struct board *board, struct input *input)
{
    uint64_t offset;
    switch (input_take(input, 1) % 12) {
    case 0:
        board->now += input_take(input, 3);
        clock_step(board->clock, board->now);
        break;
    case 1: msr(board, input); break;
    case 2: message(board, input); break;
    case 3: lapic_acknowledge(board->lapic); break;
    case 4: lapic_pin(board->lapic, input_take(input, 1) & 1, input_take(input, 1) & 1); break;
    case 5: lapic_set_cr8(board->lapic, input_take(input, 1) & 15); break;
    case 6:
        board->tsc_offset = take_wide(input);
        lapic_tsc_changed(board->lapic);
        break;
    case 7:
        if (!(input_take(input, 1) & 15))
            (input->size & 1 ? lapic_reset : lapic_init)(board->lapic);
        break;
    case 8:
        offset = input_take(input, 2) & 0xfff;
        if (lapic_covers(board->lapic, PAGE + offset))
            lapic_read(board->lapic, PAGE + offset, 1u << input_take(input, 1) % 4);
        break;
    default:
        offset = (input_take(input, 1) & 0x3f) << 4;
        if (lapic_covers(board->lapic, PAGE + offset))
            lapic_write(board->lapic, PAGE + offset, 4, input_take(input, 4));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct board board = {.clock = clock_create()};
    clock_step(board.clock, 0);
    board.lapic = lapic_create(&(struct lapic_wiring){.clock = board.clock,
                                                      .tsc_offset = &board.tsc_offset,
                                                      .id = 5,
                                                      .boot = true,
                                                      .interrupt = on_interrupt,
                                                      .signal = on_signal,
                                                      .send = on_send,
                                                      .end_of_interrupt = on_end,
                                                      .moved = on_move});
    lapic_reset(board.lapic);
    for (unsigned i = 0; i < STEPS_MOST && input.size; i++)
        step(&board, &input);
    lapic_destroy(board.lapic);
    clock_destroy(board.clock);
    return 0;
}
