/*
 * The local APIC of one software CPU, as xAPIC (a page at APIC_BASE) and as x2APIC (MSRs 800h to 8FFh).
 *
 * Left out: SMIs, the thermal and performance sources (their LVT entries can be written), suppression of EOI broadcasts,
 * bus arbitration. LINT0 of the bootstrap processor is an open ExtINT after RESET, as firmware leaves it, so that a guest
 * without firmware that knows only the 8259A has its interrupts.
 * Source: SDM volume 3A, chapter 10: 10.4 (registers, enabling), 10.5 (LVT, errors), 10.6 (IPIs), 10.8 (priorities, EOI), 10.9
 * (spurious), 10.12 (x2APIC).
 */
#include "cpu/soft/lapic.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "cpu/soft/lapic-timer.h"

/* Offsets in the page / 16, which are also the MSRs from 800h. */
enum apic_register {
    REGISTER_ID = 0x02,
    REGISTER_VERSION = 0x03,
    REGISTER_TPR = 0x08,
    REGISTER_APR = 0x09,
    REGISTER_PPR = 0x0a,
    REGISTER_EOI = 0x0b,
    REGISTER_LDR = 0x0d,
    REGISTER_DFR = 0x0e,
    REGISTER_SVR = 0x0f,
    REGISTER_ISR = 0x10, /* eight of each */
    REGISTER_TMR = 0x18,
    REGISTER_IRR = 0x20,
    REGISTER_ESR = 0x28,
    REGISTER_ICR_LOW = 0x30,
    REGISTER_ICR_HIGH = 0x31,
    REGISTER_LVT = 0x32, /* timer, thermal, performance, LINT0, LINT1, error */
    REGISTER_TIMER_INITIAL = 0x38,
    REGISTER_TIMER_COUNT = 0x39,
    REGISTER_TIMER_DIVIDE = 0x3e,
    REGISTER_SELF_IPI = 0x3f,
    REGISTERS = 0x40,
};

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_ENTRIES };

enum lvt_bits {
    LVT_VECTOR = 0xff,
    LVT_DELIVERY = 7 << 8,
    LVT_DELIVERY_SHIFT = 8,
    LVT_POLARITY = 1 << 13,
    LVT_REMOTE_IRR = 1 << 14,
    LVT_LEVEL = 1 << 15,
    LVT_MASKED = 1 << 16,
    LVT_TIMER_MODE = 3 << 17,
    LVT_TIMER_MODE_SHIFT = 17,
    LVT_EXTINT = DELIVERY_EXTINT << LVT_DELIVERY_SHIFT,
    LVT_LINT = LVT_VECTOR | LVT_DELIVERY | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
};

static const uint32_t lvt_writable[LVT_ENTRIES] = {
    LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE,
    LVT_VECTOR | LVT_MASKED | LVT_DELIVERY,
    LVT_VECTOR | LVT_MASKED | LVT_DELIVERY,
    LVT_LINT,
    LVT_LINT,
    LVT_VECTOR | LVT_MASKED,
};

enum icr_bits {
    ICR_VECTOR = 0xff,
    ICR_DELIVERY_SHIFT = 8,
    ICR_DELIVERY = 7 << 8,
    ICR_LOGICAL = 1 << 11,
    ICR_ASSERT = 1 << 14,
    ICR_LEVEL = 1 << 15,
    ICR_SHORTHAND_SHIFT = 18,
    ICR_SHORTHAND = 3 << 18,
    ICR_WRITABLE = ICR_VECTOR | ICR_DELIVERY | ICR_LOGICAL | ICR_ASSERT | ICR_LEVEL | ICR_SHORTHAND,
};

enum error_bits {
    ERROR_SEND_VECTOR = 1 << 5,
    ERROR_RECEIVE_VECTOR = 1 << 6,
    ERROR_REGISTER = 1 << 7,
};

enum other_bits {
    VERSION = 0x14 | (LVT_ENTRIES - 1) << 16,
    SVR_VECTOR = 0xff,
    SVR_ENABLED = 1 << 8,
    SVR_WRITABLE = SVR_VECTOR | SVR_ENABLED | 1 << 9, /* focus checking: kept, without effect */
    VECTORS_RESERVED = 16,
    CLASS = 0xf0,
    ID_SHIFT = 24, /* in the page's ID, LDR and ICR */
    DFR_ONES = 0x0fffffff,
    X2_CLUSTER_SHIFT = 4, /* of the id: which cluster; the rest says which bit in it */
    X2_LDR_SHIFT = 16,
};
#define DFR_FLAT     0xf0000000u
#define LDR_WRITABLE 0xff000000u

enum msr {
    MSR_APIC_BASE = 0x1b,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800,
};
enum apic_base_bits { BASE_BOOT = 1 << 8, BASE_X2APIC = 1 << 10, BASE_ENABLED = 1 << 11 };
#define BASE_ADDRESS     0x000000fffffff000ull
#define BASE_AFTER_RESET 0xfee00000ull
#define NOWHERE          UINT64_MAX
#define X2_EVERYBODY     UINT32_MAX

enum { VECTOR_WORDS = 8, PINS = 2 };

struct lapic {
    struct lapic_wiring wiring;
    struct lapic_timer *timer;

    uint64_t base; /* the MSR */
    uint64_t page; /* where the page is; NOWHERE */
    uint32_t id;   /* in xAPIC mode it can be written */
    uint8_t task;  /* TPR */
    uint32_t ldr, dfr, svr;
    uint32_t in_service[VECTOR_WORDS], requested[VECTOR_WORDS], level[VECTOR_WORDS];
    uint32_t errors, errors_shown; /* ESR shows what there was when it was last written */
    uint32_t icr_low, icr_high;
    uint32_t lvt[LVT_ENTRIES];
    bool pin[PINS];
    bool external; /* an ExtINT message waits for its INTA */
};

/* ---- sets of vectors */

static void vector_set(uint32_t *words, uint8_t vector, bool on)
{
    uint32_t bit = 1u << vector % 32;

    words[vector / 32] = on ? words[vector / 32] | bit : words[vector / 32] & ~bit;
}

static bool vector_in(const uint32_t *words, uint8_t vector)
{
    return words[vector / 32] >> vector % 32 & 1;
}

static int vector_highest(const uint32_t *words)
{
    for (int i = VECTOR_WORDS - 1; i >= 0; i--)
        if (words[i])
            return 32 * i + 31 - __builtin_clz(words[i]);
    return LAPIC_NO_VECTOR;
}

/* ---- what the CPU is to see */

static bool hardware_enabled(const struct lapic *lapic)
{
    return lapic->base & BASE_ENABLED;
}

static bool in_x2apic(const struct lapic *lapic)
{
    return lapic->base & BASE_X2APIC;
}

static bool software_enabled(const struct lapic *lapic)
{
    return hardware_enabled(lapic) && (lapic->svr & SVR_ENABLED);
}

static uint8_t processor_priority(const struct lapic *lapic)
{
    int served = vector_highest(lapic->in_service);

    if (served < 0 || (lapic->task & CLASS) >= (served & CLASS))
        return lapic->task;
    return served & CLASS;
}

static int vector_ready(const struct lapic *lapic)
{
    int vector = hardware_enabled(lapic) ? vector_highest(lapic->requested) : LAPIC_NO_VECTOR;

    return vector >= 0 && (vector & CLASS) > (processor_priority(lapic) & CLASS) ? vector : LAPIC_NO_VECTOR;
}

/* Switched off, the pin is the INTR of a CPU without APIC. */
static bool external_ready(const struct lapic *lapic)
{
    if (!hardware_enabled(lapic))
        return lapic->pin[0];
    return lapic->external ||
           (lapic->pin[0] && (lapic->lvt[LVT_LINT0] & (LVT_DELIVERY | LVT_MASKED)) == LVT_EXTINT);
}

static void update(struct lapic *lapic)
{
    lapic->wiring.interrupt(lapic->wiring.opaque, vector_ready(lapic) >= 0 || external_ready(lapic));
}

int lapic_acknowledge(struct lapic *lapic)
{
    int vector = vector_ready(lapic);

    if (vector >= 0) {
        vector_set(lapic->requested, vector, false);
        vector_set(lapic->in_service, vector, true);
    } else if (external_ready(lapic)) {
        lapic->external = false;
        vector = LAPIC_EXTERNAL;
    }
    update(lapic);
    return vector;
}

/* ---- interrupts that come */

static void request(struct lapic *lapic, uint8_t vector, bool level);

/* An error whose own vector is not one is only noted. */
static void error_note(struct lapic *lapic, uint32_t bits)
{
    uint32_t entry = lapic->lvt[LVT_ERROR];

    lapic->errors |= bits;
    if (!(entry & LVT_MASKED) && (entry & LVT_VECTOR) >= VECTORS_RESERVED)
        request(lapic, entry & LVT_VECTOR, false);
}

static void request(struct lapic *lapic, uint8_t vector, bool level)
{
    if (!software_enabled(lapic))
        return;
    if (vector < VECTORS_RESERVED) {
        error_note(lapic, ERROR_RECEIVE_VECTOR);
        return;
    }
    vector_set(lapic->requested, vector, true);
    vector_set(lapic->level, vector, level);
}

static void accept(struct lapic *lapic, enum delivery delivery, uint8_t vector, bool level)
{
    switch (delivery) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST: request(lapic, vector, level); break;
    case DELIVERY_NMI:
    case DELIVERY_INIT:
    case DELIVERY_STARTUP: lapic->wiring.signal(lapic->wiring.opaque, delivery, vector); break;
    case DELIVERY_EXTINT: lapic->external = true; break;
    default: break;
    }
    update(lapic);
}

void lapic_deliver(struct lapic *lapic, const struct interrupt_message *message)
{
    accept(lapic, message->delivery, message->vector, message->level);
}

static bool accepts_logical(const struct lapic *lapic, uint32_t destination)
{
    uint32_t own = lapic->ldr >> ID_SHIFT;

    if (in_x2apic(lapic))
        return destination >> X2_LDR_SHIFT == lapic->ldr >> X2_LDR_SHIFT &&
               (destination & lapic->ldr & UINT16_MAX);
    if (destination == MESSAGE_EVERYBODY)
        return true;
    if ((lapic->dfr & DFR_FLAT) == DFR_FLAT)
        return destination <= MESSAGE_EVERYBODY && (destination & own);
    return destination >> 4 == own >> 4 && (destination & own & 0xf);
}

bool lapic_accepts(const struct lapic *lapic, const struct interrupt_message *message)
{
    uint32_t destination = message->destination;

    if (!hardware_enabled(lapic))
        return false;
    if (destination == X2_EVERYBODY)
        return true;
    if (message->logical)
        return accepts_logical(lapic, destination);
    return destination == lapic->id || (destination == MESSAGE_EVERYBODY && !in_x2apic(lapic));
}

unsigned lapic_priority(const struct lapic *lapic)
{
    enum { NOT_NOW = 0x100 };

    return processor_priority(lapic) | (software_enabled(lapic) ? 0 : NOT_NOW);
}

/* An entry of the LVT whose source has spoken. */
static void local(struct lapic *lapic, enum lvt which)
{
    uint32_t entry = lapic->lvt[which];
    bool pin = which == LVT_LINT0 || which == LVT_LINT1;
    enum delivery delivery = pin ? (entry & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT : DELIVERY_FIXED;
    bool level = pin && (entry & LVT_LEVEL) && delivery == DELIVERY_FIXED;

    if ((entry & LVT_MASKED) || !hardware_enabled(lapic) || delivery == DELIVERY_EXTINT)
        return;
    if (level && (entry & LVT_REMOTE_IRR))
        return;
    if (level)
        lapic->lvt[which] |= LVT_REMOTE_IRR;
    accept(lapic, delivery, entry & LVT_VECTOR, level);
}

void lapic_pin(struct lapic *lapic, unsigned pin, bool level)
{
    bool rose = level && !lapic->pin[pin];

    lapic->pin[pin] = level;
    if (rose)
        local(lapic, LVT_LINT0 + pin);
    update(lapic);
}

static void timer_fired(void *opaque)
{
    local(opaque, LVT_TIMER);
}

/* A pin that stands, level-triggered, asks again; one whose remote IRR ends here. */
static void pins_end(struct lapic *lapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < PINS; pin++) {
        uint32_t *entry = &lapic->lvt[LVT_LINT0 + pin];

        if (!(*entry & LVT_REMOTE_IRR) || (*entry & LVT_VECTOR) != vector)
            continue;
        *entry &= ~(uint32_t)LVT_REMOTE_IRR;
        if (lapic->pin[pin])
            local(lapic, LVT_LINT0 + pin);
    }
}

static void end_of_interrupt(struct lapic *lapic)
{
    int vector = vector_highest(lapic->in_service);

    if (vector < 0)
        return;
    vector_set(lapic->in_service, vector, false);
    if (vector_in(lapic->level, vector)) {
        pins_end(lapic, vector);
        lapic->wiring.end_of_interrupt(lapic->wiring.opaque, vector);
    }
}

/* ---- interrupts that go */

static void self_interrupt(struct lapic *lapic, uint8_t vector)
{
    if (vector < VECTORS_RESERVED)
        error_note(lapic, ERROR_SEND_VECTOR);
    else
        request(lapic, vector, false);
}

/* Table 10-3: what the ICR does not take is not sent. */
static void command(struct lapic *lapic)
{
    uint32_t low = lapic->icr_low;
    enum shorthand shorthand = (low & ICR_SHORTHAND) >> ICR_SHORTHAND_SHIFT;
    struct interrupt_message message = {
        .destination = in_x2apic(lapic) ? lapic->icr_high : lapic->icr_high >> ID_SHIFT,
        .logical = low & ICR_LOGICAL,
        .delivery = (low & ICR_DELIVERY) >> ICR_DELIVERY_SHIFT,
        .vector = low & ICR_VECTOR,
    };
    bool fixed = message.delivery == DELIVERY_FIXED || message.delivery == DELIVERY_LOWEST;

    if (message.delivery == DELIVERY_INIT && (low & ICR_LEVEL) && !(low & ICR_ASSERT))
        return; /* INIT level de-assert: of no effect since the Pentium 4 */
    if (message.delivery == DELIVERY_EXTINT || message.delivery == DELIVERY_SMI)
        return;
    if (!fixed && (shorthand == SHORTHAND_SELF || shorthand == SHORTHAND_ALL))
        return;
    if (fixed && message.vector < VECTORS_RESERVED)
        error_note(lapic, ERROR_SEND_VECTOR);
    else if (shorthand == SHORTHAND_SELF)
        self_interrupt(lapic, message.vector);
    else
        lapic->wiring.send(lapic->wiring.opaque, &message, shorthand);
}

/* ---- registers */

static uint32_t register_read(struct lapic *lapic, unsigned number)
{
    switch (number) {
    case REGISTER_ID: return in_x2apic(lapic) ? lapic->id : lapic->id << ID_SHIFT;
    case REGISTER_VERSION: return VERSION;
    case REGISTER_TPR: return lapic->task;
    case REGISTER_APR: return 0;
    case REGISTER_PPR: return processor_priority(lapic);
    case REGISTER_EOI: return 0;
    case REGISTER_LDR: return lapic->ldr;
    case REGISTER_DFR: return lapic->dfr;
    case REGISTER_SVR: return lapic->svr;
    case REGISTER_ISR ... REGISTER_ISR + VECTOR_WORDS - 1: return lapic->in_service[number - REGISTER_ISR];
    case REGISTER_TMR ... REGISTER_TMR + VECTOR_WORDS - 1: return lapic->level[number - REGISTER_TMR];
    case REGISTER_IRR ... REGISTER_IRR + VECTOR_WORDS - 1: return lapic->requested[number - REGISTER_IRR];
    case REGISTER_ESR: return lapic->errors_shown;
    case REGISTER_ICR_LOW: return lapic->icr_low;
    case REGISTER_ICR_HIGH: return lapic->icr_high;
    case REGISTER_LVT ... REGISTER_LVT + LVT_ENTRIES - 1: return lapic->lvt[number - REGISTER_LVT];
    case REGISTER_TIMER_INITIAL: return lapic_timer_initial(lapic->timer);
    case REGISTER_TIMER_COUNT: return lapic_timer_count(lapic->timer);
    case REGISTER_TIMER_DIVIDE: return lapic_timer_divide(lapic->timer);
    default: error_note(lapic, ERROR_REGISTER); return 0;
    }
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    lapic->svr = value & SVR_WRITABLE;
    if (!(value & SVR_ENABLED))
        for (int i = 0; i < LVT_ENTRIES; i++)
            lapic->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct lapic *lapic, enum lvt which, uint32_t value)
{
    uint32_t old = lapic->lvt[which], keep = LVT_REMOTE_IRR;

    value &= lvt_writable[which];
    if (!(lapic->svr & SVR_ENABLED))
        value |= LVT_MASKED;
    if (!(value & LVT_LEVEL))
        keep = 0;
    lapic->lvt[which] = value | (old & keep);
    if (which == LVT_TIMER)
        lapic_timer_set_mode(lapic->timer, (value & LVT_TIMER_MODE) >> LVT_TIMER_MODE_SHIFT);
    if ((which == LVT_LINT0 || which == LVT_LINT1) && (value & LVT_LEVEL) && lapic->pin[which - LVT_LINT0])
        local(lapic, which);
}

static void register_write(struct lapic *lapic, unsigned number, uint32_t value)
{
    switch (number) {
    case REGISTER_ID: lapic->id = value >> ID_SHIFT; break;
    case REGISTER_TPR: lapic->task = value; break;
    case REGISTER_EOI: end_of_interrupt(lapic); break;
    case REGISTER_LDR: lapic->ldr = value & LDR_WRITABLE; break;
    case REGISTER_DFR: lapic->dfr = value | DFR_ONES; break;
    case REGISTER_SVR: write_svr(lapic, value); break;
    case REGISTER_ESR:
        lapic->errors_shown = lapic->errors;
        lapic->errors = 0;
        break;
    case REGISTER_ICR_LOW:
        lapic->icr_low = value & ICR_WRITABLE;
        command(lapic);
        break;
    case REGISTER_ICR_HIGH: lapic->icr_high = value & LDR_WRITABLE; break;
    case REGISTER_LVT ... REGISTER_LVT + LVT_ENTRIES - 1:
        write_lvt(lapic, number - REGISTER_LVT, value);
        break;
    case REGISTER_TIMER_INITIAL: lapic_timer_set_initial(lapic->timer, value); break;
    case REGISTER_TIMER_DIVIDE: lapic_timer_set_divide(lapic->timer, value); break;
    case REGISTER_VERSION:
    case REGISTER_APR:
    case REGISTER_PPR:
    case REGISTER_ISR ... REGISTER_ESR - 1:
    case REGISTER_TIMER_COUNT: break; /* read-only */
    default: error_note(lapic, ERROR_REGISTER);
    }
    update(lapic);
}

/* ---- the page */

bool lapic_enabled(const struct lapic *lapic)
{
    return hardware_enabled(lapic);
}

bool lapic_covers(const struct lapic *lapic, uint64_t physical)
{
    return (physical & ~(uint64_t)(LAPIC_PAGE - 1)) == lapic->page;
}

enum { SPACING = 16, WIDTH = 4 };

/* Only aligned accesses of 32 bits are defined; the bytes of a register can be read, what lies between is zero. */
uint64_t lapic_read(struct lapic *lapic, uint64_t physical, unsigned size)
{
    unsigned offset = physical & (LAPIC_PAGE - 1), byte = offset % SPACING;
    uint64_t value;

    if (byte >= WIDTH)
        return 0;
    value = offset / SPACING < REGISTERS ? register_read(lapic, offset / SPACING) : 0;
    update(lapic); /* reading what is not there is an error that can interrupt */
    return value >> 8 * byte & (size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1);
}

void lapic_write(struct lapic *lapic, uint64_t physical, unsigned size, uint64_t value)
{
    unsigned offset = physical & (LAPIC_PAGE - 1);

    if (offset % SPACING == 0 && size >= WIDTH && offset / SPACING < REGISTERS)
        register_write(lapic, offset / SPACING, value);
}

/* ---- MSRs */

static void base_set(struct lapic *lapic, uint64_t base)
{
    lapic->base = base;
    lapic->page = (base & BASE_ENABLED) && !(base & BASE_X2APIC) ? base & BASE_ADDRESS : NOWHERE;
    if (base & BASE_X2APIC) {
        lapic->id = lapic->wiring.id;
        lapic->ldr = lapic->id >> X2_CLUSTER_SHIFT << X2_LDR_SHIFT |
                     1u << (lapic->id & ((1u << X2_CLUSTER_SHIFT) - 1));
    }
    lapic->wiring.moved(lapic->wiring.opaque);
}

/* Figure 10-27: x2APIC is entered from xAPIC and left only to off; off forgets all. */
static bool write_base(struct lapic *lapic, uint64_t value)
{
    uint64_t old = lapic->base;
    bool enabled = value & BASE_ENABLED, x2 = value & BASE_X2APIC;

    if ((value & ~(BASE_ADDRESS | BASE_BOOT | BASE_X2APIC | BASE_ENABLED)) || (x2 && !enabled) ||
        (x2 && !(old & BASE_ENABLED)) || ((old & BASE_X2APIC) && enabled && !x2))
        return false;
    if (!enabled && (old & BASE_ENABLED))
        lapic_init(lapic);
    base_set(lapic, (value & ~(uint64_t)BASE_BOOT) | (old & BASE_BOOT));
    update(lapic);
    return true;
}

static bool x2_exists(unsigned number)
{
    switch (number) {
    case REGISTER_ID:
    case REGISTER_VERSION:
    case REGISTER_TPR:
    case REGISTER_PPR:
    case REGISTER_EOI:
    case REGISTER_LDR:
    case REGISTER_SVR:
    case REGISTER_ISR ... REGISTER_ESR:
    case REGISTER_ICR_LOW:
    case REGISTER_LVT ... REGISTER_LVT + LVT_ENTRIES - 1:
    case REGISTER_TIMER_INITIAL:
    case REGISTER_TIMER_COUNT:
    case REGISTER_TIMER_DIVIDE:
    case REGISTER_SELF_IPI: return true;
    default: return false;
    }
}

static bool x2_read(struct lapic *lapic, unsigned number, uint64_t *value)
{
    if (!in_x2apic(lapic) || !x2_exists(number) || number == REGISTER_EOI || number == REGISTER_SELF_IPI)
        return false;
    *value = register_read(lapic, number);
    if (number == REGISTER_ICR_LOW)
        *value |= (uint64_t)lapic->icr_high << 32;
    return true;
}

/* Bits that may be set; all others are reserved, and with none the register is read-only. */
static bool x2_writable(unsigned number, uint64_t value)
{
    uint64_t bits;

    switch (number) {
    case REGISTER_TPR:
    case REGISTER_SELF_IPI: bits = UINT8_MAX; break;
    case REGISTER_SVR: bits = SVR_WRITABLE; break;
    case REGISTER_EOI:
    case REGISTER_ESR: bits = 0; break;
    case REGISTER_ICR_LOW: bits = ICR_WRITABLE | (uint64_t)UINT32_MAX << 32; break;
    case REGISTER_LVT ... REGISTER_LVT + LVT_ENTRIES - 1:
        bits = lvt_writable[number - REGISTER_LVT] | LVT_REMOTE_IRR | 1 << 12;
        break;
    case REGISTER_TIMER_INITIAL: bits = UINT32_MAX; break;
    case REGISTER_TIMER_DIVIDE: bits = 0xb; break;
    default: return false;
    }
    return !(value & ~bits);
}

static bool x2_write(struct lapic *lapic, unsigned number, uint64_t value)
{
    if (!in_x2apic(lapic) || !x2_writable(number, value))
        return false;
    if (number == REGISTER_SELF_IPI) {
        self_interrupt(lapic, value);
        update(lapic);
        return true;
    }
    if (number == REGISTER_ICR_LOW)
        lapic->icr_high = value >> 32;
    register_write(lapic, number, value);
    return true;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_APIC_BASE: *value = lapic->base; return true;
    case MSR_TSC_DEADLINE: *value = lapic_timer_deadline(lapic->timer); return true;
    default: return x2_read(lapic, msr - MSR_X2APIC, value);
    }
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_APIC_BASE: return write_base(lapic, value);
    case MSR_TSC_DEADLINE: lapic_timer_set_deadline(lapic->timer, value); return true;
    default: return x2_write(lapic, msr - MSR_X2APIC, value);
    }
}

void lapic_tsc_changed(struct lapic *lapic)
{
    lapic_timer_tsc_changed(lapic->timer);
}

uint8_t lapic_cr8(const struct lapic *lapic)
{
    return lapic->task >> 4;
}

void lapic_set_cr8(struct lapic *lapic, uint8_t value)
{
    lapic->task = value << 4;
    update(lapic);
}

/* ---- life */

void lapic_init(struct lapic *lapic)
{
    lapic->task = 0;
    lapic->dfr = UINT32_MAX;
    lapic->svr = SVR_VECTOR;
    lapic->ldr = lapic->icr_low = lapic->icr_high = 0;
    lapic->errors = lapic->errors_shown = 0;
    lapic->external = false;
    memset(lapic->in_service, 0, sizeof(lapic->in_service));
    memset(lapic->requested, 0, sizeof(lapic->requested));
    memset(lapic->level, 0, sizeof(lapic->level));
    for (int i = 0; i < LVT_ENTRIES; i++)
        lapic->lvt[i] = LVT_MASKED;
    if (lapic->wiring.boot)
        lapic->lvt[LVT_LINT0] = LVT_EXTINT;
    lapic_timer_reset(lapic->timer);
    base_set(lapic, lapic->base);
    update(lapic);
}

void lapic_reset(struct lapic *lapic)
{
    lapic->id = lapic->wiring.id;
    lapic->base = BASE_AFTER_RESET | BASE_ENABLED | (lapic->wiring.boot ? BASE_BOOT : 0);
    lapic_init(lapic);
}

struct lapic *lapic_create(const struct lapic_wiring *wiring)
{
    struct lapic *lapic = allocate(sizeof(*lapic));

    lapic->wiring = *wiring;
    lapic->timer = lapic_timer_create(wiring->clock, wiring->tsc_offset, timer_fired, lapic);
    return lapic;
}

void lapic_destroy(struct lapic *lapic)
{
    if (!lapic)
        return;
    lapic_timer_destroy(lapic->timer);
    free(lapic);
}
