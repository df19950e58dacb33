/*
 * The slow side of access.h, and what it caches about segments.
 *
 * Source: SDM volume 3A, 3.4.5.1 (types), 5.3 (limit checking), 6.15 (#AC); 20.1.1 for real mode, where the limit is
 * checked but the type is not.
 */
#include "cpu/soft/access.h"
#include "cpu/soft/soft.h"

/* The highest offset that passes is `last`, the lowest `first`; false where nothing does. */
always bool segment_extent(const struct segment *segment, uint64_t *first, uint64_t *last)
{
    bool expand_down = (segment->rights & (RIGHTS_CODE | RIGHTS_EXPAND_DOWN)) == RIGHTS_EXPAND_DOWN;

    *first = expand_down ? (uint64_t)segment->limit + 1 : 0;
    *last = !expand_down ? segment->limit : segment->rights & RIGHTS_DB ? UINT32_MAX : UINT16_MAX;
    return *first <= *last;
}

always bool segment_permits(const struct cpu *cpu, const struct segment *segment, bool write)
{
    if (!in_protected_mode(cpu))
        return true;
    if (segment->rights & RIGHTS_UNUSABLE)
        return false;
    if (segment->rights & RIGHTS_CODE)
        return !write && (segment->rights & RIGHTS_WRITABLE); /* for code that bit means readable */
    return !write || (segment->rights & RIGHTS_WRITABLE);
}

/* 64-bit code: no limits and no types, but FS and GS have a base. */
static void window_open(struct cpu *cpu, enum segment_name name)
{
    uint64_t end = cpu->alignment ? 0 : UINT64_MAX;

    cpu->window[name] =
        (struct segment_window){end, end, name == SEG_FS || name == SEG_GS ? cpu->segment[name].base : 0};
}

always bool segment_flat(const struct cpu *cpu, enum segment_name name)
{
    return cpu->segment[name].base == 0 && cpu->window[name].write_end == (uint64_t)UINT32_MAX + 1 &&
           cpu->window[name].read_end == (uint64_t)UINT32_MAX + 1;
}

/* What the window lets by is allowed for sure; what it stops, segment_check() decides. */
always void window_find(struct cpu *cpu, enum segment_name name, bool types_checked)
{
    const struct segment *segment = &cpu->segment[name];
    bool code = segment->rights & RIGHTS_CODE, writable = segment->rights & RIGHTS_WRITABLE;
    bool refused = cpu->alignment ||
                   (segment->rights & (RIGHTS_CODE | RIGHTS_EXPAND_DOWN)) == RIGHTS_EXPAND_DOWN ||
                   (types_checked && (segment->rights & RIGHTS_UNUSABLE));
    uint64_t end = refused ? 0 : (uint64_t)segment->limit + 1;

    if (in_64bit_code(cpu)) {
        window_open(cpu, name);
        return;
    }
    cpu->window[name].base = segment->base;
    cpu->window[name].read_end = !types_checked || !code || writable ? end : 0;
    cpu->window[name].write_end = !types_checked || (!code && writable) ? end : 0;
}

static void mode_find(struct cpu *cpu)
{
    cpu->mode = (is_user(cpu) ? MODE_USER : 0) | (cpu->soft->parallel ? MODE_ATOMIC : 0) |
                (cpu->soft->turns ? MODE_TURNS : 0);
    if (in_64bit_code(cpu)) {
        cpu->mode |= MODE_CODE64 | (cpu->alignment ? 0 : MODE_FLAT);
        return;
    }
    cpu->mode |= (cpu->segment[SEG_CS].rights & RIGHTS_DB ? MODE_CODE32 : 0) |
                 (cpu->segment[SEG_SS].rights & RIGHTS_DB ? MODE_STACK32 : 0);
    if (segment_flat(cpu, SEG_DS) && segment_flat(cpu, SEG_ES) && segment_flat(cpu, SEG_SS))
        cpu->mode |= MODE_FLAT;
    if (cpu->window[SEG_CS].base == 0 && cpu->code_end == (uint64_t)UINT32_MAX + 1)
        cpu->mode |= MODE_FLAT_CODE;
}

void segments_changed(struct cpu *cpu)
{
    tlb_choose(cpu);
    cpu->alignment = (cpu->cr0 & CR0_AM) && (cpu->rflags & FLAG_AC) && is_user(cpu);
    cpu->linear_mask = in_64bit_code(cpu) ? UINT64_MAX : UINT32_MAX;
    for (int i = 0; i < SEG_COUNT; i++)
        window_find(cpu, i, in_protected_mode(cpu));
    cpu->code_end = in_64bit_code(cpu) ? UINT64_MAX : (uint64_t)cpu->segment[SEG_CS].limit + 1;
    cpu->stack_mask = in_64bit_code(cpu)                        ? UINT64_MAX
                      : cpu->segment[SEG_SS].rights & RIGHTS_DB ? UINT32_MAX
                                                                : UINT16_MAX;
    mode_find(cpu);
}

void segment_changed(struct cpu *cpu, enum segment_name name)
{
    if (name == SEG_CS || name == SEG_SS) {
        segments_changed(cpu);
        return;
    }
    window_find(cpu, name, in_protected_mode(cpu));
    mode_find(cpu);
}

cold void canonical_fault(struct cpu *cpu, uint64_t linear)
{
    bool stack = cpu->op && cpu->op->segment == SEG_SS;

    fault_because(cpu, "0x%llx is not a canonical address", (unsigned long long)linear);
    fault_error(cpu, stack ? VECTOR_SS : VECTOR_GP, 0);
}

static void alignment_check(struct cpu *cpu, uint64_t linear, unsigned size)
{
    if (!cpu->alignment || (size & (size - 1)) != 0 || !(linear & (size - 1)))
        return;
    fault_because(cpu, "access of %u bytes at 0x%llx is not aligned", size, (unsigned long long)linear);
    fault_error(cpu, VECTOR_AC, 0);
}

static void segment_check_64(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size)
{
    uint64_t linear = cpu->window[name].base + offset;

    if (!canonical(linear) || !canonical(linear + size - 1)) {
        fault_because(cpu, "0x%llx is not a canonical address", (unsigned long long)linear);
        fault_error(cpu, name == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
    }
    alignment_check(cpu, linear, size);
}

cold void segment_check(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size, bool write)
{
    static const char names[SEG_COUNT][3] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    const struct segment *segment = &cpu->segment[name];
    uint64_t first, last;

    if (in_64bit_code(cpu)) {
        segment_check_64(cpu, name, offset, size);
        return;
    }
    if (!segment_permits(cpu, segment, write)) {
        fault_because(cpu, "%s of %s (selector 0x%x), which is %s", write ? "write" : "read", names[name],
                      segment->selector,
                      segment->rights & RIGHTS_UNUSABLE ? "null"
                      : segment->rights & RIGHTS_CODE   ? "a code segment"
                                                        : "read-only data");
        fault_error(cpu, name == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
    }
    if (!segment_extent(segment, &first, &last) || offset < first || offset + size - 1 > last) {
        fault_because(cpu, "%s of %u byte%s at %s:0x%llx, outside the segment's %s 0x%x",
                      write ? "write" : "read", size, size == 1 ? "" : "s", names[name],
                      (unsigned long long)offset, first ? "expand-down limit" : "limit", segment->limit);
        fault_error(cpu, name == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
    }
    alignment_check(cpu, segment->base + offset, size);
}

cold void write_check(struct cpu *cpu, uint64_t linear, unsigned size, bool user)
{
    uint64_t last = (linear + size - 1) & cpu->linear_mask;
    uint8_t *host;

    paging_translate(cpu, linear, ACCESS_WRITE, user, &host);
    if ((linear ^ last) & PAGE_MASK)
        paging_translate(cpu, last & PAGE_MASK, ACCESS_WRITE, user, &host);
}

void load_bytes(struct cpu *cpu, enum segment_name name, uint64_t offset, void *to, unsigned size)
{
    uint64_t linear = segment_linear(cpu, name, offset, size, false);
    uint8_t *out = to;

    for (unsigned done = 0; done < size;) {
        unsigned piece = size - done >= 8 ? 8 : size - done >= 4 ? 4 : size - done >= 2 ? 2 : 1;
        uint64_t value = piece == 8   ? load_linear(cpu, (linear + done) & cpu->linear_mask, 8)
                         : piece == 4 ? load_linear(cpu, (linear + done) & cpu->linear_mask, 4)
                         : piece == 2 ? load_linear(cpu, (linear + done) & cpu->linear_mask, 2)
                                      : load_linear(cpu, (linear + done) & cpu->linear_mask, 1);

        memcpy(out + done, &value, piece);
        done += piece;
    }
}

void store_bytes(struct cpu *cpu, enum segment_name name, uint64_t offset, const void *from, unsigned size)
{
    uint64_t linear = segment_linear(cpu, name, offset, size, true);
    const uint8_t *in = from;

    write_check(cpu, linear, size, is_user(cpu));
    for (unsigned done = 0; done < size;) {
        unsigned piece = size - done >= 8 ? 8 : size - done >= 4 ? 4 : size - done >= 2 ? 2 : 1;
        uint64_t value = host_load(in + done, piece);

        if (piece == 8)
            store_linear(cpu, (linear + done) & cpu->linear_mask, 8, value);
        else if (piece == 4)
            store_linear(cpu, (linear + done) & cpu->linear_mask, 4, value);
        else if (piece == 2)
            store_linear(cpu, (linear + done) & cpu->linear_mask, 2, value);
        else
            store_linear(cpu, (linear + done) & cpu->linear_mask, 1, value);
        done += piece;
    }
}
