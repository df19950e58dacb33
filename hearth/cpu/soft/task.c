/*
 * Tasks: the TSS, task switches by JMP, CALL, IRET and gates, stacks for inner rings, the I/O permission bitmap.
 *
 * A switch first makes sure that both TSSs can be accessed, so that no page fault leaves it half done; from the moment
 * the new registers are loaded, faults belong to the new task, as on hardware.
 * Source: SDM volume 3A, chapter 7 (7.3 the order of steps, table 7-1 the exceptions); volume 1, 18.5.2 (I/O bitmap).
 */
#include "cpu/soft/descriptor.h"
#include "cpu/soft/flags.h"

/* Offsets in a TSS; registers stand in the order of enum gpr, segments in that of enum segment_name. */
struct tss_layout {
    uint8_t width; /* of a register */
    uint8_t link, sp0, cr3, ip, flags, registers, segments, segment_count, segment_width, ldt;
    uint8_t limit; /* the least */
};

static const struct tss_layout tss16 = {.width = 2,
                                        .link = 0x00,
                                        .sp0 = 0x02,
                                        .ip = 0x0e,
                                        .flags = 0x10,
                                        .registers = 0x12,
                                        .segments = 0x22,
                                        .segment_count = 4,
                                        .segment_width = 2,
                                        .ldt = 0x2a,
                                        .limit = 0x2b};
static const struct tss_layout tss32 = {.width = 4,
                                        .link = 0x00,
                                        .sp0 = 0x04,
                                        .cr3 = 0x1c,
                                        .ip = 0x20,
                                        .flags = 0x24,
                                        .registers = 0x28,
                                        .segments = 0x48,
                                        .segment_count = 6,
                                        .segment_width = 4,
                                        .ldt = 0x60,
                                        .limit = 0x67};

enum { TSS32_TRAP = 0x64, TSS32_IO_MAP = 0x66, TSS_REGISTERS = 8 };
enum { TSS64_RSP0 = 0x04, TSS64_IST1 = 0x24 };
enum { DR6_BT = 1 << 15, DR7_LOCAL = 0x155 };
enum { FLAGS_LOADED = 0x3f7fd7 };

static const struct tss_layout *layout_of(uint32_t rights)
{
    return rights & TYPE_32BIT ? &tss32 : &tss16;
}

/* ---- stacks and ports ---- */

void task_stack(struct cpu *cpu, unsigned level, uint16_t *ss, uint32_t *esp)
{
    const struct tss_layout *layout = layout_of(cpu->tr.rights);
    uint32_t offset = layout->sp0 + level * 2 * layout->width;

    if (offset + layout->width + 1 > cpu->tr.limit || (cpu->tr.rights & RIGHTS_UNUSABLE)) {
        fault_because(cpu, "the stack for ring %u lies at 0x%x in the TSS, TR (0x%04x) has limit 0x%x", level,
                      offset, cpu->tr.selector, cpu->tr.limit);
        fault_error(cpu, VECTOR_TS, cpu->tr.selector & ERROR_SELECTOR);
    }
    *esp = load_system(cpu, system_linear(cpu, cpu->tr.base + offset), layout->width);
    *ss = load_system(cpu, system_linear(cpu, cpu->tr.base + offset + layout->width), 2);
}

static uint64_t stack_pointer64(struct cpu *cpu, unsigned offset, const char *what, unsigned number)
{
    if (offset + 7 > cpu->tr.limit || (cpu->tr.rights & RIGHTS_UNUSABLE)) {
        fault_because(cpu, "%s%u lies at 0x%x in the TSS, TR (0x%04x) has limit 0x%x", what, number, offset,
                      cpu->tr.selector, cpu->tr.limit);
        fault_error(cpu, VECTOR_TS, cpu->tr.selector & ERROR_SELECTOR);
    }
    return load_system(cpu, cpu->tr.base + offset, 8);
}

uint64_t task_stack64(struct cpu *cpu, unsigned level)
{
    return stack_pointer64(cpu, TSS64_RSP0 + 8 * level, "RSP", level);
}

uint64_t task_stack_ist(struct cpu *cpu, unsigned ist)
{
    return stack_pointer64(cpu, TSS64_IST1 + 8 * (ist - 1), "IST", ist);
}

/* Is this port open in the TSS's bitmap? */
static bool ports_open(struct cpu *cpu, uint16_t port, unsigned size)
{
    uint32_t map, bits, tss_type = cpu->tr.rights & RIGHTS_TYPE;

    if ((cpu->tr.rights & RIGHTS_UNUSABLE) || !(tss_type & TYPE_32BIT) || cpu->tr.limit < tss32.limit)
        return false;
    map = load_system(cpu, system_linear(cpu, cpu->tr.base + TSS32_IO_MAP), 2) + port / 8u;
    if (map + 1 > cpu->tr.limit)
        return false;
    bits = load_system(cpu, system_linear(cpu, cpu->tr.base + map), 2) >> port % 8;
    return (bits & ((1u << size) - 1)) == 0;
}

void task_check_ports(struct cpu *cpu, uint16_t port, unsigned size)
{
    unsigned iopl = (cpu->rflags & FLAG_IOPL) >> FLAG_IOPL_SHIFT;

    if (!(cpu->cr0 & CR0_PE) || (!(cpu->rflags & FLAG_VM) && cpl(cpu) <= iopl) || ports_open(cpu, port, size))
        return;
    fault_because(cpu,
                  "port 0x%x (%u byte%s) is closed to %s with IOPL %u: the TSS's I/O bitmap does not open it",
                  port, size, size == 1 ? "" : "s", cpu->rflags & FLAG_VM ? "v86 mode" : "this ring", iopl);
    fault_error(cpu, VECTOR_GP, 0);
}

/* ---- checks of a new task ---- */

uint64_t task_descriptor(struct cpu *cpu, uint16_t selector, unsigned vector)
{
    uint64_t raw = 0;

    if (selector & SELECTOR_LDT) {
        fault_because(cpu, "TSS selector 0x%04x is in the LDT; TSSs are in the GDT only", selector);
        fault_error(cpu, vector, selector & ERROR_SELECTOR);
    }
    raw = descriptor_need(cpu, selector, vector, "the TSS");
    if (!raw_is_tss(raw) || (raw_type(raw) & TYPE_BUSY) ||
        (in_long_mode(cpu) && !(raw_type(raw) & TYPE_32BIT))) {
        fault_because(cpu, "%s is %s; an available TSS is needed", selector_words(selector).text,
                      raw_words(raw));
        fault_error(cpu, vector, selector & ERROR_SELECTOR);
    }
    if (!raw_present(raw)) {
        fault_because(cpu, "%s is a TSS that is not present: present bit (47) clear",
                      selector_words(selector).text);
        fault_error(cpu, VECTOR_NP, selector & ERROR_SELECTOR);
    }
    return raw;
}

void ldtr_load(struct cpu *cpu, uint16_t selector, unsigned vector)
{
    uint64_t raw, upper;

    if (selector_null(selector)) {
        cpu->ldtr = (struct segment){.selector = selector, .rights = RIGHTS_UNUSABLE};
        return;
    }
    if (selector & SELECTOR_LDT) {
        fault_because(cpu, "LDT selector 0x%04x is itself in the LDT; LDTs are in the GDT only", selector);
        fault_error(cpu, vector, selector & ERROR_SELECTOR);
    }
    raw = descriptor_need(cpu, selector, vector, "LDTR");
    if (!raw_is_system(raw, TYPE_LDT)) {
        fault_because(cpu, "%s is %s, not an LDT", selector_words(selector).text, raw_words(raw));
        fault_error(cpu, vector, selector & ERROR_SELECTOR);
    }
    if (!raw_present(raw)) {
        fault_because(cpu, "%s is an LDT that is not present: present bit (47) clear",
                      selector_words(selector).text);
        fault_error(cpu, vector == VECTOR_GP ? VECTOR_NP : vector, selector & ERROR_SELECTOR);
    }
    upper = descriptor_upper(cpu, selector, "LDTR");
    descriptor_to_system_segment(cpu, raw, upper, selector, &cpu->ldtr);
}

/* ---- the switch ---- */

struct task_image {
    uint32_t cr3, ip, flags, registers[TSS_REGISTERS];
    uint16_t segments[SEG_COUNT], ldt;
    bool trap;
};

static uint32_t tss_read(struct cpu *cpu, const struct segment *tss, unsigned offset, unsigned size)
{
    return load_system(cpu, (uint32_t)(tss->base + offset), size);
}

static void tss_write(struct cpu *cpu, const struct segment *tss, unsigned offset, unsigned size,
                      uint32_t value)
{
    store_system(cpu, (uint32_t)(tss->base + offset), size, value);
}

static void image_load(struct cpu *cpu, const struct segment *tss, struct task_image *image)
{
    const struct tss_layout *layout = layout_of(tss->rights);

    *image = (struct task_image){.cr3 = cpu->cr3};
    if (layout == &tss32) {
        image->cr3 = tss_read(cpu, tss, layout->cr3, 4);
        image->trap = tss_read(cpu, tss, TSS32_TRAP, 2) & 1;
    }
    image->ip = tss_read(cpu, tss, layout->ip, layout->width);
    image->flags = tss_read(cpu, tss, layout->flags, layout->width);
    for (int i = 0; i < TSS_REGISTERS; i++) {
        image->registers[i] = tss_read(cpu, tss, layout->registers + i * layout->width, layout->width);
        if (layout == &tss16)
            image->registers[i] |= 0xffff0000;
    }
    for (int i = 0; i < layout->segment_count; i++)
        image->segments[i] = tss_read(cpu, tss, layout->segments + i * layout->segment_width, 2);
    image->ldt = tss_read(cpu, tss, layout->ldt, 2);
}

static void state_save(struct cpu *cpu, enum task_switch_cause cause, uint64_t next)
{
    const struct segment *tss = &cpu->tr;
    const struct tss_layout *layout = layout_of(tss->rights);
    uint64_t flags = flags_get(cpu);

    if (cause == TASK_RETURN)
        flags &= ~(uint64_t)FLAG_NT;
    tss_write(cpu, tss, layout->ip, layout->width, next);
    tss_write(cpu, tss, layout->flags, layout->width, flags);
    for (int i = 0; i < TSS_REGISTERS; i++)
        tss_write(cpu, tss, layout->registers + i * layout->width, layout->width, cpu->gpr[i]);
    for (int i = 0; i < layout->segment_count; i++)
        tss_write(cpu, tss, layout->segments + i * layout->segment_width, 2, cpu->segment[i].selector);
}

/* All pages that the switch will touch, before it changes anything. */
static void touch(struct cpu *cpu, const struct segment *new_tss, uint16_t selector,
                  enum task_switch_cause cause)
{
    if (!(cpu->tr.rights & RIGHTS_UNUSABLE))
        write_check(cpu, cpu->tr.base, layout_of(cpu->tr.rights)->limit + 1u, false);
    if (cause == TASK_CALL || cause == TASK_GATE)
        write_check(cpu, new_tss->base, 2, false);
    if (cause != TASK_RETURN)
        descriptor_change(cpu, selector, 0, 0);
    if (cause == TASK_JUMP || cause == TASK_RETURN)
        descriptor_change(cpu, cpu->tr.selector, 0, 0);
}

/* #TS(selector) unless the code segment of a new task is one for its RPL. */
static uint64_t task_code(struct cpu *cpu, uint16_t selector)
{
    uint64_t raw = descriptor_need(cpu, selector, VECTOR_TS, "the new task's CS");
    unsigned rpl = selector & SELECTOR_RPL;

    if (!raw_is_code(raw) || (raw_is_conforming(raw) ? raw_dpl(raw) > rpl : raw_dpl(raw) != rpl)) {
        fault_because(cpu, "the new task's CS: %s is %s of DPL %u, with RPL %u",
                      selector_words(selector).text, raw_words(raw), raw_dpl(raw), rpl);
        fault_error(cpu, VECTOR_TS, selector & ERROR_SELECTOR);
    }
    if (!raw_present(raw)) {
        fault_because(cpu, "the new task's CS: %s is not present", selector_words(selector).text);
        fault_error(cpu, VECTOR_NP, selector & ERROR_SELECTOR);
    }
    return raw;
}

static void task_data(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    unsigned level = cpl(cpu), rpl = selector & SELECTOR_RPL;
    uint64_t raw;

    if (selector_null(selector)) {
        segment_install_null(cpu, name, selector);
        return;
    }
    raw = descriptor_need(cpu, selector, VECTOR_TS, segment_names[name]);
    if (!raw_is_segment(raw) || (raw_is_code(raw) && !(raw_type(raw) & RIGHTS_WRITABLE)) ||
        (!(raw_is_code(raw) && raw_is_conforming(raw)) && (raw_dpl(raw) < level || raw_dpl(raw) < rpl))) {
        fault_because(cpu, "the new task's %s: %s is %s of DPL %u; CPL is %u", segment_names[name],
                      selector_words(selector).text, raw_words(raw), raw_dpl(raw), level);
        fault_error(cpu, VECTOR_TS, selector & ERROR_SELECTOR);
    }
    if (!raw_present(raw)) {
        fault_because(cpu, "the new task's %s: %s is not present", segment_names[name],
                      selector_words(selector).text);
        fault_error(cpu, VECTOR_NP, selector & ERROR_SELECTOR);
    }
    segment_install_raw(cpu, name, selector, rpl, raw);
}

static void load_segments(struct cpu *cpu, const uint16_t *selectors)
{
    static const enum segment_name data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    unsigned level = selectors[SEG_CS] & SELECTOR_RPL;
    uint64_t raw;

    if (cpu->rflags & FLAG_VM) {
        for (int i = 0; i < SEG_COUNT; i++)
            segment_load_real(cpu, i, selectors[i]);
        return;
    }
    raw = task_code(cpu, selectors[SEG_CS]);
    segment_install_raw(cpu, SEG_CS, selectors[SEG_CS], level, raw);
    raw = stack_descriptor(cpu, selectors[SEG_SS], level, VECTOR_TS);
    segment_install_raw(cpu, SEG_SS, selectors[SEG_SS], level, raw);
    for (int i = 0; i < 4; i++)
        task_data(cpu, data[i], selectors[data[i]]);
}

/* From here on the new task runs; faults are its own. */
static void state_load(struct cpu *cpu, const struct task_image *image, bool is32)
{
    cpu->op = NULL;
    if (is32 && (cpu->cr0 & CR0_PG)) {
        cpu->cr3 = image->cr3;
        tlb_flush(cpu, false);
    }
    cpu->rip = image->ip;
    flags_set(cpu, (image->flags & FLAGS_LOADED) | FLAG_1);
    for (int i = 0; i < TSS_REGISTERS; i++)
        cpu->gpr[i] = image->registers[i];
    /* Until they are checked: selectors, no hidden parts, but the new privilege (which SS carries). */
    for (int i = 0; i < SEG_COUNT; i++)
        segment_install_null(cpu, i, image->segments[i]);
    cpu->segment[SEG_SS].rights |=
        image->flags & FLAG_VM ? RIGHTS_DPL : (image->segments[SEG_CS] & SELECTOR_RPL) << RIGHTS_DPL_SHIFT;
    tlb_choose(cpu);
    cpu->ldtr = (struct segment){.selector = image->ldt, .rights = RIGHTS_UNUSABLE};
    cpu->dr[7] &= ~(uint64_t)DR7_LOCAL;
    ldtr_load(cpu, image->ldt, VECTOR_TS);
    load_segments(cpu, image->segments);
}

static void check_limit(struct cpu *cpu, uint16_t selector, const struct segment *tss)
{
    unsigned least = layout_of(tss->rights)->limit;

    if (tss->limit >= least)
        return;
    fault_because(cpu, "TSS %s has limit 0x%x; the least is 0x%x", selector_words(selector).text, tss->limit,
                  least);
    fault_error(cpu, VECTOR_TS, selector & ERROR_SELECTOR);
}

void task_switch(struct cpu *cpu, uint16_t selector, uint64_t descriptor, enum task_switch_cause cause,
                 uint64_t next, bool has_error, uint32_t error)
{
    bool nested = cause == TASK_CALL || cause == TASK_GATE;
    struct segment tss;
    struct task_image image;

    descriptor_to_segment(descriptor, selector, &tss);
    check_limit(cpu, selector, &tss);
    image_load(cpu, &tss, &image);
    touch(cpu, &tss, selector, cause);

    if (!nested)
        descriptor_change(cpu, cpu->tr.selector, 0, TYPE_BUSY);
    if (!(cpu->tr.rights & RIGHTS_UNUSABLE))
        state_save(cpu, cause, next);
    if (nested) {
        tss_write(cpu, &tss, layout_of(tss.rights)->link, 2, cpu->tr.selector);
        image.flags |= FLAG_NT;
    }
    if (cause != TASK_RETURN)
        descriptor_change(cpu, selector, TYPE_BUSY, 0);
    tss.rights |= TYPE_BUSY;
    cpu->tr = tss;
    cpu->cr0 |= CR0_TS;
    state_load(cpu, &image, tss.rights & TYPE_32BIT);
    segments_changed(cpu);
    if (image.trap) {
        cpu->debug_pending |= DR6_BT;
        cpu->attention = 1;
    }
    if (has_error) {
        struct stack stack = stack_current(cpu);

        stack_push(cpu, &stack, layout_of(tss.rights)->width, error);
        stack_commit(cpu, &stack);
    }
    code_limit_check(cpu, &cpu->segment[SEG_CS], cpu->rip);
}
