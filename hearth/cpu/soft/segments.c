/*
 * Segment registers: loading them with all checks, in real, v86 and protected mode.
 *
 * Real mode keeps limit and size bits of the hidden part, as hardware does: that is how "unreal mode" comes about.
 * Source: SDM volume 3A, 3.4, 5.5 to 5.8, 20.1; volume 2, the operation of MOV.
 */
#include "cpu/soft/descriptor.h"

const char segment_names[SEG_COUNT][3] = {"ES", "CS", "SS", "DS", "FS", "GS"};

enum {
    /* S, present, writable, accessed */
    RIGHTS_REAL = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED,
    RIGHTS_V86 = RIGHTS_REAL | RIGHTS_DPL,
};

void segment_install(struct cpu *cpu, enum segment_name name, const struct segment *segment)
{
    cpu->segment[name] = *segment;
    if (name == SEG_SS)
        tlb_choose(cpu);
}

void segment_install_raw(struct cpu *cpu, enum segment_name name, uint16_t selector, unsigned level,
                         uint64_t raw)
{
    struct segment segment;

    descriptor_mark_accessed(cpu, selector, raw);
    descriptor_to_segment(raw, (selector & ~SELECTOR_RPL) | level, &segment);
    segment.rights |= RIGHTS_ACCESSED;
    segment_install(cpu, name, &segment);
}

void segment_install_null(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    segment_install(cpu, name, &(struct segment){.selector = selector, .rights = RIGHTS_UNUSABLE});
}

/* SS of 64-bit code may be null; the privilege is still its DPL's. */
void stack_install_null(struct cpu *cpu, unsigned level)
{
    segment_install(
        cpu, SEG_SS,
        &(struct segment){.selector = level, .rights = RIGHTS_UNUSABLE | level << RIGHTS_DPL_SHIFT});
}

static void install_real(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    struct segment segment = cpu->segment[name];

    segment.selector = selector;
    segment.base = (uint32_t)selector << 4;
    if (cpu->rflags & FLAG_VM) {
        segment.rights = RIGHTS_V86;
        segment.limit = 0xffff;
    } else {
        segment.rights = (segment.rights & (RIGHTS_DB | RIGHTS_G)) | RIGHTS_REAL;
    }
    segment_install(cpu, name, &segment);
}

void segment_load_real(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    install_real(cpu, name, selector);
    segment_changed(cpu, name);
}

uint64_t stack_descriptor(struct cpu *cpu, uint16_t selector, unsigned level, unsigned vector)
{
    uint64_t raw = descriptor_need(cpu, selector, vector, "SS");

    if (!raw_is_writable_data(raw)) {
        fault_because(cpu, "SS: %s is %s%s; a stack needs writable data", selector_words(selector).text,
                      raw_words(raw),
                      raw_is_segment(raw) && !raw_is_code(raw) ? ": writable bit (41) clear" : "");
        selector_refuse(cpu, vector, selector);
    }
    if ((selector & SELECTOR_RPL) != level || raw_dpl(raw) != level) {
        fault_because(cpu, "SS: %s has RPL %u and DPL %u (bits 45, 46); both must be the privilege level, %u",
                      selector_words(selector).text, selector & SELECTOR_RPL, raw_dpl(raw), level);
        selector_refuse(cpu, vector, selector);
    }
    descriptor_need_present(cpu, selector, raw, VECTOR_SS);
    return raw;
}

static void load_data(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    unsigned level = cpl(cpu), rpl = selector & SELECTOR_RPL;
    uint64_t raw;

    if (selector_null(selector)) {
        segment_install_null(cpu, name, selector);
        return;
    }
    raw = descriptor_need(cpu, selector, VECTOR_GP, segment_names[name]);
    if (!raw_is_segment(raw) || (raw_is_code(raw) && !(raw_type(raw) & RIGHTS_WRITABLE))) {
        fault_because(cpu, "%s: %s is %s; it takes data or readable code", segment_names[name],
                      selector_words(selector).text, raw_words(raw));
        selector_refuse(cpu, VECTOR_GP, selector);
    }
    if (!(raw_is_code(raw) && raw_is_conforming(raw)) && (rpl > raw_dpl(raw) || level > raw_dpl(raw))) {
        fault_because(cpu, "%s: %s has DPL %u, too privileged for CPL %u and RPL %u", segment_names[name],
                      selector_words(selector).text, raw_dpl(raw), level, rpl);
        selector_refuse(cpu, VECTOR_GP, selector);
    }
    descriptor_need_present(cpu, selector, raw, VECTOR_NP);
    segment_install_raw(cpu, name, selector, rpl, raw);
}

bool stack_may_be_null(uint32_t rights, const struct cpu *cpu, uint16_t selector, unsigned level)
{
    return selector_null(selector) && in_long_mode(cpu) && (rights & RIGHTS_L) && level != 3 &&
           (selector & SELECTOR_RPL) == level;
}

void segment_load(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    if (!in_protected_mode(cpu))
        install_real(cpu, name, selector);
    else if (name == SEG_SS && stack_may_be_null(cpu->segment[SEG_CS].rights, cpu, selector, cpl(cpu)))
        stack_install_null(cpu, cpl(cpu));
    else if (name == SEG_SS)
        segment_install_raw(cpu, name, selector, cpl(cpu),
                            stack_descriptor(cpu, selector, cpl(cpu), VECTOR_GP));
    else
        load_data(cpu, name, selector);
    segment_changed(cpu, name);
}

void segments_leave(struct cpu *cpu)
{
    static const enum segment_name data[] = {SEG_ES, SEG_FS, SEG_GS, SEG_DS};

    for (int i = 0; i < 4; i++) {
        struct segment *segment = &cpu->segment[data[i]];
        bool conforming =
            (segment->rights & (RIGHTS_CODE | RIGHTS_EXPAND_DOWN)) == (RIGHTS_CODE | RIGHTS_EXPAND_DOWN);

        /* FS and GS of 64-bit code are null as a rule and have a base all the same. */
        if (in_long_mode(cpu) && (segment->rights & RIGHTS_UNUSABLE))
            continue;
        if (conforming || (segment->rights & RIGHTS_DPL) >> RIGHTS_DPL_SHIFT >= cpl(cpu))
            continue;
        /* The selector alone becomes null: 64-bit code goes on with the base. */
        segment->selector = 0;
        segment->rights |= RIGHTS_UNUSABLE;
    }
}
