/*
 * The translator: blocks that run often become host code. What the rest of cpu/soft knows of it; how it works stands in
 * translator.h.
 *
 * A CPU has a translator of its own, which only its thread touches. It hangs on to the interpreter in two places: the
 * first operation of a block counts its runs, and later enters the translation; and whatever translated code does not
 * do itself it leaves to the interpreter, in the middle of a block where need be. In builds with PLAIN_DISPATCH, on
 * hosts that are not x86-64 and where the host denies memory for code, there is none.
 */
#ifndef SOFT_TRANSLATE_H
#define SOFT_TRANSLATE_H

#include "cpu/soft/op.h"

struct translator;

enum { TRANSLATE_AFTER = 50 }; /* runs of a block */

/* Translates what has run `after` times. NULL where there can be none. */
struct translator *translator_create(unsigned after);
void translator_destroy(struct translator *translator); /* NULL is harmless, here and below */

/* A block was decoded and will be kept. */
void translator_block_kept(struct cpu *cpu, struct block *block);
/* A block is about to be dropped: what was translated of it goes. */
void translator_block_dropped(struct cpu *cpu, struct block *block);
/* All blocks are gone. */
void translator_all_dropped(struct cpu *cpu);
/* Where the run loop goes next has nothing to do with how the last translation was left. */
void translator_unlink(struct cpu *cpu);

/*
 * Translated code leaves the flags as its operands and result as they come, in the kinds of enum flags_translated.
 * This brings cpu->lazy into the form that flags.h reads; kinds of flags.h stay as they are.
 */
void flags_settle(struct cpu *cpu);

#endif
