/*
 * An interrupt is a wire. A device is given one and drives its level; what is at the other end (an 8259A, the
 * kernel's interrupt controllers, a PCI router) it does not know. A line that is all zeros is not connected.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <stdbool.h>

struct irq_line {
    void (*set)(void *target, int input, bool level);
    void *target;
    int input; /* which input of the target */
};

/* Machine lock held. Setting a level that the line already has is harmless. */
static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->target, line->input, level);
}

#endif
