/*
 * A serial port, PC16550D: eight ports from `base`.
 */
#ifndef DEVICES_UART_H
#define DEVICES_UART_H

#include "core/bus.h"
#include "core/character.h"
#include "core/clock.h"
#include "core/irq.h"

struct uart;

/*
 * Sets the device side of *character, which must outlive the UART; NULL: nobody at the other end of the cable.
 * `irq` is copied.
 */
struct uart *uart_create(struct bus *ports, uint64_t base, const struct irq_line *irq, struct clock *clock,
                         struct character_port *character);
void uart_destroy(struct uart *uart); /* NULL is harmless */
void uart_reset(struct uart *uart);

#endif
