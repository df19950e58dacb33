/* panic.h: the last screen */
#ifndef SPARK_PANIC_H
#define SPARK_PANIC_H

#include "interrupts.h"

void panic_exception(struct frame *frame) __attribute__((noreturn));
void panic(const char *reason) __attribute__((noreturn)); /* the kernel itself found something impossible */

/* `name+offset` for an address in the kernel's text; the name is NULL elsewhere. */
const char *symbol_find(u32 address, u32 *offset);
void stack_trace(u32 eip, u32 ebp);

#endif
