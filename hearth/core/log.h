/*
 * What hearth says on stderr. Three kinds of error (docs/style.md): host trouble is one line through die() before
 * the guest starts, or warn() after; guest nonsense is no error at all, but log_guest() shows it under `-d`.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>

enum log_kind {
    LOG_UNIMP = 1 << 0,       /* unimp: ports and MMIO that nobody claims */
    LOG_GUEST_ERROR = 1 << 1, /* guest_errors: what a guest should not do */
    LOG_INTERRUPT = 1 << 2,   /* int: exceptions and interrupts as they are delivered */
    LOG_RESET = 1 << 3,       /* cpu_reset */
    LOG_IN_ASM = 1 << 4,      /* in_asm: code as it is first decoded */
};

extern unsigned log_mask; /* set by -d before the guest starts */

/* `-d help` and `-d a,b`. False for a word that is not one; *bad points at it. */
bool log_parse(const char *items, unsigned *mask, const char **bad);
void log_items_print(void);
/* `-D FILE`. False with errno. */
bool log_open(const char *path);

static inline bool log_wanted(enum log_kind kind)
{
    return (log_mask & kind) != 0;
}

/* Logs one line, rate-limited to 1000 lines a second for each kind (then says how many were left out). */
void log_guest(enum log_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "hearth: text" on stderr. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* warn(), then exit with status 1, after restoring the terminal. Only before the guest runs. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Called by die() and at exit; set by the terminal code. */
extern void (*log_before_exit)(void);

/* calloc that ends the program with one line when the host is out of memory. */
void *allocate(unsigned long size);

#endif
