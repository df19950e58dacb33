/*
 * The 8042 keyboard controller of a PS/2: command byte and RAM, self tests, output port with reset and A20,
 * translation of scan code set 2 to set 1, IRQ1 and IRQ12. A keyboard (ps2-keyboard.c) and, at the auxiliary port, a
 * mouse (ps2-mouse.c) are plugged in.
 *
 * A byte that was read leaves the output buffer empty for a while, as the cable's pace does: programs that hook the
 * keyboard interrupt read the same byte twice.
 *
 * Left out: the password and the key lock.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 */
#include "devices/ps2.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/ps2-keyboard.h"
#include "devices/ps2-mouse.h"

enum {
    PORT_DATA = 0x60,
    PORT_COMMAND = 0x64, /* read: status */

    STATUS_OUTPUT_FULL = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_COMMAND = 0x08, /* the last write was to 64h */
    STATUS_UNLOCKED = 0x10,
    STATUS_AUXILIARY = 0x20,

    READ_RAM = 0x20, /* to 3Fh */
    WRITE_RAM = 0x60,
    RAM_SIZE = 0x20,
    TEST_PASSWORD = 0xa4,
    DISABLE_AUXILIARY = 0xa7,
    ENABLE_AUXILIARY = 0xa8,
    TEST_AUXILIARY = 0xa9,
    SELF_TEST = 0xaa,
    TEST_KEYBOARD = 0xab,
    DISABLE_KEYBOARD = 0xad,
    ENABLE_KEYBOARD = 0xae,
    READ_INPUT_PORT = 0xc0,
    READ_OUTPUT_PORT = 0xd0,
    WRITE_OUTPUT_PORT = 0xd1,
    WRITE_KEYBOARD_BUFFER = 0xd2,
    WRITE_AUXILIARY_BUFFER = 0xd3,
    WRITE_AUXILIARY = 0xd4,
    A20_OFF = 0xdd,
    A20_ON = 0xdf,
    PULSE_OUTPUT = 0xf0, /* to FFh: a zero in bits 0 to 3 pulses that line */

    NO_PASSWORD = 0xf1,
    SELF_TEST_PASSED = 0x55,
    LINES_GOOD = 0x00,

    /* The command byte, RAM cell 0. */
    KEYBOARD_INTERRUPT = 0x01,
    AUXILIARY_INTERRUPT = 0x02,
    SYSTEM_FLAG = 0x04,
    KEYBOARD_OFF = 0x10,
    AUXILIARY_OFF = 0x20,
    TRANSLATE = 0x40,

    INPUT_PORT = 0xb0, /* keyboard not locked, manufacturing jumper off, 256 KiB on the board */
    OUTPUT_RUN = 0x01, /* low: the CPU is held in reset */
    OUTPUT_A20 = 0x02,
    OUTPUT_KEYBOARD_FULL = 0x10,
    OUTPUT_AUXILIARY_FULL = 0x20,
    OUTPUT_LINES = 0xcc, /* clock and data of both cables, idle */

    BREAK_SET_2 = 0xf0,
    BREAK_SET_1 = 0x80,
    BYTE_NANOSECONDS = 1000000, /* eleven bits at about 11 kHz */
};

enum source { FROM_KEYBOARD, FROM_AUXILIARY };

struct ps2 {
    struct bus *ports;
    struct ps2_wiring wiring;
    struct timer *timer; /* the cable is busy until it fires */
    bool cable_busy;
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    uint8_t ram[RAM_SIZE]; /* ram[0] is the command byte */
    uint8_t command;       /* the one whose data byte is awaited; 0: none */
    bool last_was_command;
    bool full;
    enum source source;
    uint8_t output; /* the output buffer; keeps its byte after it was read */
    bool answer_waits;
    enum source answer_source;
    uint8_t answer;
    bool breaking; /* set 2's break prefix was swallowed; it is a bit in the code that follows */
    uint8_t a20;
};

/* ---- the output buffer */

static void ps2_update(struct ps2 *ps2)
{
    irq_set(&ps2->wiring.keyboard_irq,
            ps2->full && ps2->source == FROM_KEYBOARD && ps2->ram[0] & KEYBOARD_INTERRUPT);
    irq_set(&ps2->wiring.mouse_irq,
            ps2->full && ps2->source == FROM_AUXILIARY && ps2->ram[0] & AUXILIARY_INTERRUPT);
}

static void output_put(struct ps2 *ps2, uint8_t byte, enum source source)
{
    ps2->output = byte;
    ps2->source = source;
    ps2->full = true;
}

/* The keyboard's next byte as the command byte wants it; a break prefix is kept until its code comes. */
static bool keyboard_next(struct ps2 *ps2, uint8_t *byte)
{
    while (ps2_keyboard_read(&ps2->keyboard, byte)) {
        if (!(ps2->ram[0] & TRANSLATE))
            return true;
        if (*byte == BREAK_SET_2) {
            ps2->breaking = true;
            continue;
        }
        *byte = ps2_translate(*byte) | (ps2->breaking ? BREAK_SET_1 : 0);
        ps2->breaking = false;
        return true;
    }
    return false;
}

/* Fills an empty output buffer: the controller's own answer first, then the keyboard, then the mouse. */
static void ps2_fill(struct ps2 *ps2)
{
    uint8_t byte;
    if (!ps2->full && ps2->answer_waits) {
        ps2->answer_waits = false;
        output_put(ps2, ps2->answer, ps2->answer_source);
    }
    if (!ps2->full && !ps2->cable_busy && !(ps2->ram[0] & KEYBOARD_OFF) && keyboard_next(ps2, &byte))
        output_put(ps2, byte, FROM_KEYBOARD);
    if (!ps2->full && !ps2->cable_busy && !(ps2->ram[0] & AUXILIARY_OFF) &&
        ps2_mouse_read(&ps2->mouse, &byte))
        output_put(ps2, byte, FROM_AUXILIARY);
    ps2_update(ps2);
}

static void cable_free(void *opaque)
{
    struct ps2 *ps2 = opaque;
    ps2->cable_busy = false;
    ps2_fill(ps2);
}

/* The controller has one answer at a time: a second command before the first was read overtakes it. */
static void ps2_answer(struct ps2 *ps2, uint8_t byte, enum source source)
{
    ps2->answer = byte;
    ps2->answer_source = source;
    ps2->answer_waits = true;
}

/* ---- commands */

static void machine_reset(struct ps2 *ps2)
{
    if (ps2->wiring.reset)
        ps2->wiring.reset(ps2->wiring.opaque);
}

static uint8_t output_port(const struct ps2 *ps2)
{
    uint8_t full = ps2->source == FROM_KEYBOARD ? OUTPUT_KEYBOARD_FULL : OUTPUT_AUXILIARY_FULL;
    return OUTPUT_LINES | OUTPUT_RUN | ps2->a20 | (ps2->full ? full : 0);
}

static void a20_set(struct ps2 *ps2, bool open)
{
    ps2->a20 = open ? OUTPUT_A20 : 0;
    irq_set(&ps2->wiring.a20, open);
}

static void write_output_port(struct ps2 *ps2, uint8_t value)
{
    a20_set(ps2, value & OUTPUT_A20);
    if (!(value & OUTPUT_RUN))
        machine_reset(ps2);
}

static void controller_answers(struct ps2 *ps2, uint8_t byte)
{
    ps2_answer(ps2, byte, FROM_KEYBOARD);
}

static void command_write(struct ps2 *ps2, uint8_t command)
{
    uint8_t *control = &ps2->ram[0];
    ps2->command = 0;
    if (command >= READ_RAM && command < READ_RAM + RAM_SIZE) {
        controller_answers(ps2, ps2->ram[command - READ_RAM]);
        return;
    }
    if ((command >= WRITE_RAM && command < WRITE_RAM + RAM_SIZE) ||
        (command >= WRITE_OUTPUT_PORT && command <= WRITE_AUXILIARY)) {
        ps2->command = command;
        return;
    }
    if (command >= PULSE_OUTPUT && !(command & OUTPUT_RUN))
        machine_reset(ps2);
    switch (command) {
    case TEST_PASSWORD: controller_answers(ps2, NO_PASSWORD); break;
    case DISABLE_AUXILIARY: *control |= AUXILIARY_OFF; break;
    case ENABLE_AUXILIARY: *control &= ~AUXILIARY_OFF; break;
    case TEST_AUXILIARY:
    case TEST_KEYBOARD: controller_answers(ps2, LINES_GOOD); break;
    case SELF_TEST:
        *control |= SYSTEM_FLAG;
        controller_answers(ps2, SELF_TEST_PASSED);
        break;
    case DISABLE_KEYBOARD: *control |= KEYBOARD_OFF; break;
    case ENABLE_KEYBOARD: *control &= ~KEYBOARD_OFF; break;
    case READ_INPUT_PORT: controller_answers(ps2, INPUT_PORT); break;
    case READ_OUTPUT_PORT: controller_answers(ps2, output_port(ps2)); break;
    case A20_OFF: a20_set(ps2, false); break;
    case A20_ON: a20_set(ps2, true); break;
    default: break;
    }
}

static void data_write(struct ps2 *ps2, uint8_t value)
{
    uint8_t command = ps2->command;
    ps2->command = 0;
    if (command >= WRITE_RAM && command < WRITE_RAM + RAM_SIZE) {
        ps2->ram[command - WRITE_RAM] = value;
        return;
    }
    switch (command) {
    case WRITE_OUTPUT_PORT: write_output_port(ps2, value); break;
    case WRITE_KEYBOARD_BUFFER: ps2_answer(ps2, value, FROM_KEYBOARD); break;
    case WRITE_AUXILIARY_BUFFER: ps2_answer(ps2, value, FROM_AUXILIARY); break;
    case WRITE_AUXILIARY: ps2_mouse_write(&ps2->mouse, value); break;
    default:
        ps2->ram[0] &= ~KEYBOARD_OFF; /* sending to the keyboard opens its cable */
        ps2->breaking = false;
        ps2_keyboard_write(&ps2->keyboard, value);
    }
}

/* ---- ports */

static uint64_t data_read(void *device, uint64_t offset, unsigned size)
{
    struct ps2 *ps2 = device;
    (void)offset, (void)size;
    if (!ps2->full)
        return ps2->output;
    uint8_t byte = ps2->output;
    ps2->full = false;
    ps2_update(ps2); /* the line falls before the next byte raises it */
    if (!ps2->answer_waits) {
        ps2->cable_busy = true;
        timer_arm(ps2->timer, clock_now(ps2->wiring.clock) + BYTE_NANOSECONDS);
    }
    ps2_fill(ps2);
    return byte;
}

static void data_port_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct ps2 *ps2 = device;
    (void)offset, (void)size;
    ps2->last_was_command = false;
    data_write(ps2, value);
    ps2_fill(ps2);
}

static uint64_t status_read(void *device, uint64_t offset, unsigned size)
{
    const struct ps2 *ps2 = device;
    (void)offset, (void)size;
    return STATUS_UNLOCKED | (ps2->full ? STATUS_OUTPUT_FULL : 0) |
           (ps2->ram[0] & SYSTEM_FLAG ? STATUS_SYSTEM : 0) | (ps2->last_was_command ? STATUS_COMMAND : 0) |
           (ps2->full && ps2->source == FROM_AUXILIARY ? STATUS_AUXILIARY : 0);
}

static void command_port_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct ps2 *ps2 = device;
    (void)offset, (void)size;
    ps2->last_was_command = true;
    command_write(ps2, value);
    ps2_fill(ps2);
}

/* ---- the machine's side */

static void keyboard_key(void *device, uint16_t key, bool down)
{
    struct ps2 *ps2 = device;
    ps2_keyboard_key(&ps2->keyboard, key, down);
    ps2_fill(ps2);
}

static void mouse_pointer(void *device, const struct pointer_event *event)
{
    struct ps2 *ps2 = device;
    if (event->absolute)
        return;
    ps2_mouse_event(&ps2->mouse, event);
    ps2_fill(ps2);
}

struct input_sink ps2_input(struct ps2 *ps2)
{
    return (struct input_sink){.device = ps2, .key = keyboard_key, .pointer = mouse_pointer};
}

void ps2_mouse_report(void *opaque)
{
    struct ps2 *ps2 = opaque;
    ps2_mouse_nudge(&ps2->mouse);
    ps2_fill(ps2);
}

void ps2_reset(struct ps2 *ps2)
{
    memset(ps2->ram, 0, sizeof(ps2->ram));
    ps2->ram[0] = KEYBOARD_OFF | AUXILIARY_OFF;
    ps2->command = ps2->output = 0;
    ps2->full = ps2->answer_waits = ps2->breaking = ps2->last_was_command = false;
    a20_set(ps2, true);
    ps2->cable_busy = false;
    timer_disarm(ps2->timer);
    ps2_keyboard_power_on(&ps2->keyboard);
    ps2_mouse_power_on(&ps2->mouse);
    ps2_update(ps2);
}

struct ps2 *ps2_create(struct bus *ports, const struct ps2_wiring *wiring)
{
    struct ps2 *ps2 = allocate(sizeof(*ps2));
    ps2->ports = ports;
    ps2->wiring = *wiring;
    ps2->timer = timer_create_on(wiring->clock, cable_free, ps2);
    ps2_reset(ps2);
    bus_add(ports, &(struct bus_range){PORT_DATA, 1, "ps2 data", ps2, data_read, data_port_write, 1});
    bus_add(ports,
            &(struct bus_range){PORT_COMMAND, 1, "ps2 command", ps2, status_read, command_port_write, 1});
    return ps2;
}

void ps2_destroy(struct ps2 *ps2)
{
    bus_remove(ps2->ports, ps2, PORT_DATA);
    bus_remove(ps2->ports, ps2, PORT_COMMAND);
    timer_destroy(ps2->timer);
    free(ps2);
}
