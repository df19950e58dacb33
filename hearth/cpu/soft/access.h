/*
 * Memory as handlers see it: load and store through the segment check and the TLB.
 *
 * The fast path is two compares: the segment's window and the TLB tag. All else (expand-down segments, alignment
 * checks, page crossings, MMIO, pages that hold code, misses) goes the slow way, which faults or finishes the access.
 * `size` is 1, 2, 4 or 8 and a constant wherever speed matters. A handler says MAY_FAULT before it calls any of these.
 * Source: SDM volume 3A, 5.3 (limits), 5.4 and 5.5 (types), 6.15 (#AC).
 */
#ifndef SOFT_ACCESS_H
#define SOFT_ACCESS_H

#include <string.h>

#include "cpu/soft/op.h"

#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))
enum { PAGE_SHIFT = 12 };

/* An address that is not canonical, in long mode: #SS(0) where the instruction's operand is the stack's, else #GP(0). */
_Noreturn void canonical_fault(struct cpu *cpu, uint64_t linear);
/* The full check, for what the window does not answer; raises #GP(0), #SS(0) or #AC(0). */
void segment_check(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size, bool write);
/* Would a write to these bytes fault? Then it does; for accesses that must not be left half done. */
void write_check(struct cpu *cpu, uint64_t linear, unsigned size, bool user);

always uint64_t host_load(const uint8_t *host, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, host, size);
    return value;
}

always void host_store(uint8_t *host, unsigned size, uint64_t value)
{
    memcpy(host, &value, size);
}

always bool is_user(const struct cpu *cpu)
{
    return cpl(cpu) == 3;
}

always uint64_t segment_linear(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size,
                               bool write)
{
    uint64_t end = write ? cpu->window[name].write_end : cpu->window[name].read_end;

    if (unlikely(offset + size > end))
        segment_check(cpu, name, offset, size, write);
    return (cpu->window[name].base + offset) & cpu->linear_mask;
}

/* ---- linear addresses ---- */

always struct tlb_entry *tlb_slot(struct tlb_entry *tlb, uint64_t linear)
{
    return &tlb[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];
}

/* Does the tag stand for this page, and are all the bytes in it? */
always bool tlb_hit(uint64_t tag, uint64_t linear, unsigned size)
{
    return likely((linear ^ tag) <= PAGE_SIZE - size);
}

always uint8_t *tlb_host(const struct tlb_entry *entry, uint64_t tag, uint64_t linear)
{
    return entry->host + (linear ^ tag);
}

/* Other CPUs look at it too (marks.c). */
always uint64_t tlb_write_tag(const struct tlb_entry *entry)
{
    return __atomic_load_n(&entry->write_tag, __ATOMIC_RELAXED);
}

always struct tlb_fetch *fetch_slot(struct tlb_fetch *table, uint64_t linear)
{
    return &table[linear >> PAGE_SHIFT & (TLB_FETCH_SIZE - 1)];
}

always uint64_t load_linear(struct cpu *cpu, uint64_t linear, unsigned size)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);

    if (tlb_hit(entry->read_tag, linear, size))
        return host_load(tlb_host(entry, entry->read_tag, linear), size);
    return slow_load(cpu, linear, size, is_user(cpu));
}

always void store_linear(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t value)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);
    uint64_t tag = tlb_write_tag(entry);

    if (tlb_hit(tag, linear, size))
        host_store(tlb_host(entry, tag, linear), size, value);
    else
        slow_store(cpu, linear, size, value, is_user(cpu));
}

/* Accesses that the CPU itself makes, to descriptor tables and TSS: supervisor's at any CPL. */
always uint64_t load_system(struct cpu *cpu, uint64_t linear, unsigned size)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[0], linear);

    if (tlb_hit(entry->read_tag, linear, size))
        return host_load(tlb_host(entry, entry->read_tag, linear), size);
    return slow_load(cpu, linear, size, false);
}

always void store_system(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t value)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[0], linear);
    uint64_t tag = tlb_write_tag(entry);

    if (tlb_hit(tag, linear, size))
        host_store(tlb_host(entry, tag, linear), size, value);
    else
        slow_store(cpu, linear, size, value, false);
}

/* ---- segment:offset ---- */

always uint64_t load(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size)
{
    return load_linear(cpu, segment_linear(cpu, name, offset, size, false), size);
}

always void store(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size, uint64_t value)
{
    store_linear(cpu, segment_linear(cpu, name, offset, size, true), size, value);
}

/*
 * Read, modify, write. modify_begin() makes sure of the write before it reads, so that a fault leaves nothing changed
 * and reports a write; modify_end() cannot fault. LOCKed operations have a pair of their own, below.
 */
struct modify {
    uint8_t *host; /* NULL: by the slow way */
    uint64_t linear;
};

always uint64_t modify_begin_linear(struct cpu *cpu, uint64_t linear, unsigned size, struct modify *modify)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);
    uint64_t tag = tlb_write_tag(entry);

    modify->linear = linear;
    if (tlb_hit(tag, linear, size)) {
        modify->host = tlb_host(entry, tag, linear);
        return host_load(modify->host, size);
    }
    modify->host = NULL;
    write_check(cpu, linear, size, is_user(cpu));
    return slow_load(cpu, linear, size, is_user(cpu));
}

always uint64_t modify_begin(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size,
                             struct modify *modify)
{
    return modify_begin_linear(cpu, segment_linear(cpu, name, offset, size, true), size, modify);
}

always void modify_end(struct cpu *cpu, unsigned size, uint64_t value, const struct modify *modify)
{
    if (likely(modify->host != NULL))
        host_store(modify->host, size, value);
    else
        slow_store(cpu, modify->linear, size, value, is_user(cpu));
}

/*
 * LOCKed read, modify, write, where several CPUs run at a time: a loop of begin, compute and end until end answers true.
 * What is computed may depend on what begin answered alone; locked_end() cannot fault. `host` is the caller's, between
 * the two. The slow side is in locked.c.
 */
uint64_t locked_begin_slowly(struct cpu *cpu, uint64_t linear, unsigned size);
bool locked_end_slowly(struct cpu *cpu, unsigned size, uint64_t expected, uint64_t value);
/* CMPXCHG16B, aligned: writes if `expected` stands there; otherwise that is what stands there. */
bool locked_exchange_16(struct cpu *cpu, uint64_t linear, uint64_t expected[2], const uint64_t value[2]);

/* The host locks one line; two may be forbidden to it or cost it milliseconds. */
always bool in_one_line(uint64_t address, unsigned size)
{
    enum { LINE = 64 };

    return (address & (LINE - 1)) + size <= LINE;
}

#define HOST_EXCHANGE(suffix, type)                                                                          \
    {                                                                                                        \
        typedef type loose __attribute__((aligned(1), may_alias));                                           \
        asm volatile("lock cmpxchg" suffix " %3, %1"                                                         \
                     : "=@ccz"(done), "+m"(*(loose *)host), "+a"(expected)                                   \
                     : "r"((type)value)                                                                      \
                     : "memory");                                                                            \
    }

/* By hand, because C knows no atomics on addresses that are not aligned. */
always bool host_exchange(uint8_t *host, unsigned size, uint64_t expected, uint64_t value)
{
    bool done;

    if (size == 1)
        HOST_EXCHANGE("b", uint8_t)
    else if (size == 2)
        HOST_EXCHANGE("w", uint16_t)
    else if (size == 4)
        HOST_EXCHANGE("l", uint32_t)
    else
        HOST_EXCHANGE("q", uint64_t)
    return done;
}

always uint64_t locked_begin(struct cpu *cpu, uint64_t linear, unsigned size, uint8_t **host)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);
    uint64_t tag = tlb_write_tag(entry);

    if (tlb_hit(tag, linear, size) && likely(in_one_line(linear, size))) {
        *host = tlb_host(entry, tag, linear);
        return host_load(*host, size);
    }
    *host = NULL;
    return locked_begin_slowly(cpu, linear, size);
}

always bool locked_end(struct cpu *cpu, uint8_t *host, unsigned size, uint64_t expected, uint64_t value)
{
    if (likely(host != NULL))
        return host_exchange(host, size, expected, value);
    return locked_end_slowly(cpu, size, expected, value);
}

/* Operands of other sizes (10-byte reals, 28- and 512-byte images): checked as a whole, moved in pieces of at most 8 bytes. */
void load_bytes(struct cpu *cpu, enum segment_name name, uint64_t offset, void *to, unsigned size);
void store_bytes(struct cpu *cpu, enum segment_name name, uint64_t offset, const void *from, unsigned size);

/* ---- the stack, by SS.B ---- */

/* Beside another operand in memory the instruction does not tell that it is the stack's address: here it is known. */
always void stack_canonical(struct cpu *cpu, unsigned size, uint64_t pointer)
{
    if (size == 8 && unlikely(!canonical(pointer)))
        segment_check(cpu, SEG_SS, pointer, size, true);
}

always void push(struct cpu *cpu, unsigned size, uint64_t value)
{
    uint64_t pointer = (cpu->gpr[RSP] - size) & cpu->stack_mask;

    stack_canonical(cpu, size, pointer);
    store(cpu, SEG_SS, pointer, size, value);
    cpu->gpr[RSP] = (cpu->gpr[RSP] & ~cpu->stack_mask & UINT32_MAX) | pointer;
}

always uint64_t pop(struct cpu *cpu, unsigned size)
{
    uint64_t pointer = cpu->gpr[RSP] & cpu->stack_mask, value;

    stack_canonical(cpu, size, pointer);
    value = load(cpu, SEG_SS, pointer, size);
    cpu->gpr[RSP] = (cpu->gpr[RSP] & ~cpu->stack_mask & UINT32_MAX) | ((pointer + size) & cpu->stack_mask);
    return value;
}

#endif
