/*
 * Descriptors: where they lie, reading, checking and changing them, and what they are in words.
 *
 * In IA-32e mode call gates, LDTs and TSSs have 16 bytes. Source: SDM volume 3A, 3.4.5, 3.5, 5.8.3.1, 7.2.3.
 */
#include <stdio.h>

#include "cpu/soft/descriptor.h"

enum {
    DESCRIPTOR_SIZE = 8,
    DESCRIPTOR_RIGHTS = 5, /* offset of the byte with type and DPL */
    UPPER_TYPE = 0x1f00,   /* in the last four bytes of a descriptor of 16: must be clear */
};

/* ---- words ---- */

struct words selector_words(uint16_t selector)
{
    struct words words;

    snprintf(words.text, sizeof(words.text), "%s[%u] (selector 0x%x)",
             selector & SELECTOR_LDT ? "LDT" : "GDT", selector >> 3, selector);
    return words;
}

const char *raw_words(uint64_t raw)
{
    static const char *const system[16] = {
        "a system descriptor of the reserved type 0",
        "an available 16-bit TSS",
        "an LDT",
        "a busy 16-bit TSS",
        "a 16-bit call gate",
        "a task gate",
        "a 16-bit interrupt gate",
        "a 16-bit trap gate",
        "a system descriptor of the reserved type 8",
        "an available 32-bit TSS",
        "a system descriptor of the reserved type 10",
        "a busy 32-bit TSS",
        "a 32-bit call gate",
        "a system descriptor of the reserved type 13",
        "a 32-bit interrupt gate",
        "a 32-bit trap gate",
    };
    static const char *const segment[8] = {
        "read-only data",    "writable data", "read-only expand-down data",   "writable expand-down data",
        "execute-only code", "readable code", "execute-only conforming code", "readable conforming code",
    };

    if (raw == 0)
        return "an empty (all zero) descriptor";
    return raw_is_segment(raw) ? segment[raw_type(raw) >> 1] : system[raw_type(raw)];
}

/* ---- descriptors ---- */

/* Where the selector's descriptor lies; false if it is null or past its table's limit. */
static bool descriptor_address(const struct cpu *cpu, uint16_t selector, uint64_t *address)
{
    uint64_t base = cpu->gdtr.base, limit = cpu->gdtr.limit;

    if (selector & SELECTOR_LDT) {
        if (cpu->ldtr.rights & RIGHTS_UNUSABLE)
            return false;
        base = cpu->ldtr.base;
        limit = cpu->ldtr.limit;
    } else if (selector_null(selector)) {
        return false;
    }
    *address = system_linear(cpu, base + (selector & SELECTOR_INDEX));
    return (selector & SELECTOR_INDEX) + DESCRIPTOR_SIZE - 1u <= limit;
}

bool descriptor_read(struct cpu *cpu, uint16_t selector, uint64_t *raw)
{
    uint64_t address;

    if (!descriptor_address(cpu, selector, &address))
        return false;
    *raw = load_system(cpu, address, DESCRIPTOR_SIZE);
    return true;
}

uint64_t descriptor_need(struct cpu *cpu, uint16_t selector, unsigned vector, const char *role)
{
    uint64_t raw;

    if (selector_null(selector)) {
        fault_because(cpu, "%s is the null selector", role);
        fault_error(cpu, vector, 0);
    }
    if (!descriptor_read(cpu, selector, &raw)) {
        bool local = selector & SELECTOR_LDT;

        if (local && (cpu->ldtr.rights & RIGHTS_UNUSABLE))
            fault_because(cpu, "%s: selector 0x%x is in the LDT, and there is none", role, selector);
        else
            fault_because(cpu, "%s: %s needs bytes up to 0x%04x, the %s limit is 0x%04x", role,
                          selector_words(selector).text, (selector & SELECTOR_INDEX) + DESCRIPTOR_SIZE - 1,
                          local ? "LDT" : "GDT", local ? cpu->ldtr.limit : cpu->gdtr.limit);
        fault_error(cpu, vector, selector & ERROR_SELECTOR);
    }
    return raw;
}

uint64_t descriptor_upper(struct cpu *cpu, uint16_t selector, const char *role)
{
    uint64_t address, limit = selector & SELECTOR_LDT ? cpu->ldtr.limit : cpu->gdtr.limit, upper;
    unsigned last = (selector & SELECTOR_INDEX) + 2 * DESCRIPTOR_SIZE - 1;

    if (!in_long_mode(cpu) || !descriptor_address(cpu, selector, &address))
        return 0;
    if (last > limit) {
        fault_because(cpu, "%s: %s has 16 bytes in long mode, up to 0x%04x, the limit is 0x%04x", role,
                      selector_words(selector).text, last, (unsigned)limit);
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    upper = load_system(cpu, address + DESCRIPTOR_SIZE, DESCRIPTOR_SIZE);
    if (upper >> 32 & UPPER_TYPE) {
        fault_because(cpu, "%s: %s, of 16 bytes in long mode, has its upper type field (bits 108 to 104) set",
                      role, selector_words(selector).text);
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    return upper << 32;
}

void descriptor_change(struct cpu *cpu, uint16_t selector, uint8_t set, uint8_t clear)
{
    uint64_t address;

    if (!descriptor_address(cpu, selector, &address))
        return;
    address = system_linear(cpu, address + DESCRIPTOR_RIGHTS);
    store_system(cpu, address, 1, (load_system(cpu, address, 1) | set) & ~(uint64_t)clear);
}

void descriptor_mark_accessed(struct cpu *cpu, uint16_t selector, uint64_t raw)
{
    if (!(raw >> 40 & RIGHTS_ACCESSED))
        descriptor_change(cpu, selector, RIGHTS_ACCESSED, 0);
}

void descriptor_to_segment(uint64_t raw, uint16_t selector, struct segment *segment)
{
    uint32_t limit = (raw & 0xffff) | (raw >> 32 & 0xf0000);

    segment->selector = selector;
    segment->rights = raw >> 40 & 0xf0ff;
    segment->limit = segment->rights & RIGHTS_G ? limit << 12 | 0xfff : limit;
    segment->base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000);
}

void descriptor_to_system_segment(struct cpu *cpu, uint64_t raw, uint64_t upper, uint16_t selector,
                                  struct segment *segment)
{
    struct segment made;

    descriptor_to_segment(raw, selector, &made);
    made.base |= upper;
    if (!canonical(made.base)) {
        fault_because(cpu, "%s is %s whose base 0x%016llx is not canonical", selector_words(selector).text,
                      raw_words(raw), (unsigned long long)made.base);
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    *segment = made;
}

_Noreturn void selector_refuse(struct cpu *cpu, unsigned vector, uint16_t selector)
{
    fault_error(cpu, vector, selector & ERROR_SELECTOR);
}

void descriptor_need_present(struct cpu *cpu, uint16_t selector, uint64_t raw, unsigned vector)
{
    if (raw_present(raw))
        return;
    fault_because(cpu, "%s is %s that is not present: present bit (47) clear", selector_words(selector).text,
                  raw_words(raw));
    selector_refuse(cpu, vector, selector);
}
