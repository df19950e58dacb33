/*
 * The PC16550D serial port: receiver FIFO with trigger levels and character timeout, the interrupt priorities, modem
 * status, loopback, scratch register. The transmitter is as fast as the host: the holding register is empty again at
 * once, and a character port never blocks.
 *
 * Left out: line errors that only a cable makes (parity, framing, break), DMA signalling (FCR bit 3), and the PC's
 * gating of the interrupt by OUT2, which many small systems forget to set.
 *
 * Source: National Semiconductor PC16550D data sheet (1995), chapter 8 "Registers".
 */
#include "devices/uart.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    RBR_THR = 0, /* DLL with DLAB */
    IER = 1,     /* DLM with DLAB */
    IIR_FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7,
    PORTS = 8,

    IER_ERBFI = 0x01,
    IER_ETBEI = 0x02,
    IER_ELSI = 0x04,
    IER_EDSSI = 0x08,
    IER_BITS = 0x0f,

    IIR_NONE = 0x01,
    IIR_MODEM_STATUS = 0x00,
    IIR_THR_EMPTY = 0x02,
    IIR_DATA = 0x04,
    IIR_LINE_STATUS = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 0x01,
    FCR_RECEIVER_RESET = 0x02,
    FCR_TRIGGER_SHIFT = 6,

    LCR_WORD = 0x03, /* five bits and more */
    LCR_STOP = 0x04,
    LCR_PARITY = 0x08,
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10,
    MCR_BITS = 0x1f,

    LSR_DR = 0x01,
    LSR_OE = 0x02,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,

    MSR_TERI = 0x04,
    MSR_DELTAS = 0x0f,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
    MSR_LEVELS = 0xf0,

    FIFO_SIZE = 16,
    BAUD_BASE = 115200,    /* 1.8432 MHz / 16 */
    POWER_ON_DIVISOR = 12, /* 9600 baud; the chip leaves it undefined */
    TIMEOUT_CHARACTERS = 4,
};

static const uint8_t trigger_levels[4] = {1, 4, 8, 14};

struct uart {
    struct bus *ports;
    uint64_t base;
    struct irq_line irq;
    struct clock *clock;
    struct timer *timer; /* the character timeout */
    struct character_port *character;
    uint8_t fifo[FIFO_SIZE];
    unsigned first, count;
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint16_t divisor;
    bool overrun, timeout;
    bool thr_emptied; /* the THR-empty interrupt stands */
};

/* ---- interrupts */

static bool uart_fifos(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE;
}

static unsigned uart_trigger(const struct uart *uart)
{
    return uart_fifos(uart) ? trigger_levels[uart->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/* The interrupt of the highest priority, as IIR tells it. */
static uint8_t uart_cause(const struct uart *uart)
{
    if (uart->ier & IER_ELSI && uart->overrun)
        return IIR_LINE_STATUS;
    if (uart->ier & IER_ERBFI && uart->count >= uart_trigger(uart))
        return IIR_DATA;
    if (uart->ier & IER_ERBFI && uart->timeout)
        return IIR_TIMEOUT;
    if (uart->ier & IER_ETBEI && uart->thr_emptied)
        return IIR_THR_EMPTY;
    if (uart->ier & IER_EDSSI && uart->msr & MSR_DELTAS)
        return IIR_MODEM_STATUS;
    return IIR_NONE;
}

static void uart_update(struct uart *uart)
{
    irq_set(&uart->irq, uart_cause(uart) != IIR_NONE);
}

static uint64_t character_time(const struct uart *uart)
{
    unsigned bits =
        1 + 5 + (uart->lcr & LCR_WORD) + (uart->lcr & LCR_PARITY ? 1 : 0) + (uart->lcr & LCR_STOP ? 2 : 1);
    return scale(NANOSECONDS_PER_SECOND, (uint64_t)bits * (uart->divisor ? uart->divisor : 1), BAUD_BASE);
}

/* After each character that came or was read: a FIFO below its trigger level speaks up after four idle ones. */
static void timeout_restart(struct uart *uart)
{
    uart->timeout = false;
    if (uart_fifos(uart) && uart->ier & IER_ERBFI && uart->count && uart->count < uart_trigger(uart))
        timer_arm(uart->timer, clock_now(uart->clock) + TIMEOUT_CHARACTERS * character_time(uart));
    else
        timer_disarm(uart->timer);
}

static void timeout_fire(void *opaque)
{
    struct uart *uart = opaque;
    uart->timeout = uart->count > 0;
    uart_update(uart);
}

/* ---- receiver */

static void receiver_clear(struct uart *uart)
{
    uart->first = uart->count = 0;
    timeout_restart(uart);
}

static void receiver_put(struct uart *uart, uint8_t byte)
{
    unsigned size = uart_fifos(uart) ? FIFO_SIZE : 1;
    if (uart->count == size) {
        uart->overrun = true;
        if (size == FIFO_SIZE)
            return; /* a full FIFO keeps what it has */
        uart->count = 0;
    }
    uart->fifo[(uart->first + uart->count++) % FIFO_SIZE] = byte;
    timeout_restart(uart);
}

static uint8_t receiver_get(struct uart *uart)
{
    uint8_t byte = uart->fifo[uart->first];
    if (uart->count) {
        uart->first = (uart->first + 1) % FIFO_SIZE;
        uart->count--;
    }
    timeout_restart(uart);
    return byte;
}

/* While it loops back, the receiver is cut off from the line; what is there waits with the host. */
static size_t uart_room(void *device)
{
    const struct uart *uart = device;
    if (uart->mcr & MCR_LOOP)
        return 0;
    return (uart_fifos(uart) ? FIFO_SIZE : 1) - uart->count;
}

static void uart_receive(void *device, const uint8_t *bytes, size_t count)
{
    struct uart *uart = device;
    for (size_t i = 0; i < count; i++)
        receiver_put(uart, bytes[i]);
    uart_update(uart);
}

static void uart_drained(struct uart *uart)
{
    if (uart->character && uart->character->drained && uart_room(uart))
        uart->character->drained(uart->character->host);
}

/* ---- modem lines */

static uint8_t modem_lines(const struct uart *uart)
{
    if (!(uart->mcr & MCR_LOOP))
        return uart->character ? MSR_CTS | MSR_DSR | MSR_DCD : 0;
    return (uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
           (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void modem_update(struct uart *uart)
{
    uint8_t lines = modem_lines(uart);
    uint8_t changed = (uart->msr ^ lines) & MSR_LEVELS;
    uint8_t deltas = changed >> 4;
    if (lines & MSR_RI)
        deltas &= ~MSR_TERI; /* only the ring indicator's trailing edge counts */
    uart->msr = lines | (uart->msr & MSR_DELTAS) | deltas;
}

/* ---- registers */

static void transmit(struct uart *uart, uint8_t byte)
{
    uart->thr_emptied = false;
    uart_update(uart);
    if (uart->mcr & MCR_LOOP)
        receiver_put(uart, byte & (0xff >> (3 - (uart->lcr & LCR_WORD))));
    else
        character_write(uart->character, &byte, 1);
    uart->thr_emptied = true;
}

static void write_ier(struct uart *uart, uint8_t value)
{
    if (value & ~uart->ier & IER_ETBEI)
        uart->thr_emptied = true; /* enabling it while THR is empty asks at once */
    uart->ier = value & IER_BITS;
    timeout_restart(uart);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    if ((value ^ uart->fcr) & FCR_ENABLE || value & FCR_RECEIVER_RESET)
        receiver_clear(uart);
    uart->fcr = value & FCR_ENABLE ? value : 0;
    timeout_restart(uart);
}

static void uart_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct uart *uart = device;
    bool dlab = uart->lcr & LCR_DLAB;
    size_t room = uart_room(uart);
    (void)size;
    switch (offset) {
    case RBR_THR:
        if (dlab)
            uart->divisor = (uart->divisor & 0xff00) | value;
        else
            transmit(uart, value);
        break;
    case IER:
        if (dlab)
            uart->divisor = (uart->divisor & 0x00ff) | value << 8;
        else
            write_ier(uart, value);
        break;
    case IIR_FCR: write_fcr(uart, value); break;
    case LCR: uart->lcr = value; break;
    case MCR:
        uart->mcr = value & MCR_BITS;
        modem_update(uart);
        break;
    case SCR: uart->scr = value; break;
    default: break; /* LSR and MSR are not to be written */
    }
    uart_update(uart);
    if (uart_room(uart) > room)
        uart_drained(uart);
}

static uint8_t read_rbr(struct uart *uart)
{
    uint8_t byte = receiver_get(uart);
    uart_update(uart);
    uart_drained(uart);
    return byte;
}

static uint8_t read_iir(struct uart *uart)
{
    uint8_t cause = uart_cause(uart);
    if (cause == IIR_THR_EMPTY)
        uart->thr_emptied = false;
    uart_update(uart);
    return cause | (uart_fifos(uart) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
    uint8_t value = LSR_THRE | LSR_TEMT | (uart->count ? LSR_DR : 0) | (uart->overrun ? LSR_OE : 0);
    uart->overrun = false;
    uart_update(uart);
    return value;
}

static uint8_t read_msr(struct uart *uart)
{
    uint8_t value = uart->msr;
    uart->msr &= MSR_LEVELS;
    uart_update(uart);
    return value;
}

static uint64_t uart_read(void *device, uint64_t offset, unsigned size)
{
    struct uart *uart = device;
    bool dlab = uart->lcr & LCR_DLAB;
    (void)size;
    switch (offset) {
    case RBR_THR: return dlab ? uart->divisor & 0xff : read_rbr(uart);
    case IER: return dlab ? uart->divisor >> 8 : uart->ier;
    case IIR_FCR: return read_iir(uart);
    case LCR: return uart->lcr;
    case MCR: return uart->mcr;
    case LSR: return read_lsr(uart);
    case MSR: return read_msr(uart);
    default: return uart->scr;
    }
}

void uart_reset(struct uart *uart)
{
    uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scr = 0;
    uart->divisor = POWER_ON_DIVISOR;
    uart->overrun = uart->thr_emptied = false;
    uart->msr = modem_lines(uart);
    receiver_clear(uart);
    uart_update(uart);
    uart_drained(uart);
}

struct uart *uart_create(struct bus *ports, uint64_t base, const struct irq_line *irq, struct clock *clock,
                         struct character_port *character)
{
    struct uart *uart = allocate(sizeof(*uart));
    uart->ports = ports;
    uart->base = base;
    uart->irq = *irq;
    uart->clock = clock;
    uart->timer = timer_create_on(clock, timeout_fire, uart);
    uart->character = character;
    if (character) {
        character->receive = uart_receive;
        character->room = uart_room;
        character->device = uart;
    }
    uart_reset(uart);
    bus_add(ports, &(struct bus_range){base, PORTS, "uart", uart, uart_read, uart_write, 1});
    return uart;
}

void uart_destroy(struct uart *uart)
{
    if (!uart)
        return;
    if (uart->character) {
        uart->character->receive = NULL;
        uart->character->room = NULL;
        uart->character->device = NULL;
    }
    bus_remove(uart->ports, uart, uart->base);
    timer_destroy(uart->timer);
    free(uart);
}
