/* Numbers as the monitor reads them: decimal, 0x hexadecimal, $register, + - * / % & | ^ and parentheses. */
#ifndef MONITOR_EXPRESSION_H
#define MONITOR_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/state.h"

/*
 * Evaluates the start of *text and moves *text behind it (and behind blanks). `state` gives the registers and may be
 * NULL. False with what was wrong in error (a literal).
 */
bool expression_parse(const char **text, const struct cpu_state *state, uint64_t *value, const char **error);

#endif
