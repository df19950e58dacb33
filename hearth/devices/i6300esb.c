/*
 * The 6300ESB's watchdog timer: two stages of 20 bits in units of 2^15 or 2^5 PCI clocks, the sequence that unlocks its
 * registers, the lock, free running.
 *
 * Left out: the interrupt after the first stage (its status bit is set).
 * Source: Intel 6300ESB I/O Controller Hub datasheet (300641), chapter 16.
 */
#include "devices/i6300esb.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    CONFIG = 0x60, /* in configuration space */
    LOCK = 0x68,

    CONFIG_INT_TYPE = 3 << 0,
    CONFIG_PRE_SEL = 1 << 2,
    CONFIG_OUTPUT_OFF = 1 << 5,
    CONFIG_WRITABLE = CONFIG_INT_TYPE | CONFIG_PRE_SEL | CONFIG_OUTPUT_OFF,
    LOCK_LOCK = 1 << 0,
    LOCK_ENABLE = 1 << 1,
    LOCK_FREE_RUNNING = 1 << 2,
    LOCK_WRITABLE = LOCK_LOCK | LOCK_ENABLE | LOCK_FREE_RUNNING,

    PRELOAD_1 = 0x00, /* in memory */
    PRELOAD_2 = 0x04,
    INTERRUPT_STATUS = 0x08,
    RELOAD = 0x0c,
    REGISTERS_SIZE = 0x10,

    PRELOAD_MASK = 0xfffff,
    INTERRUPT_ACTIVE = 1 << 0,
    RELOAD_RELOAD = 1 << 8,
    RELOAD_TIMEOUT = 1 << 9,
    UNLOCK_FIRST = 0x80,
    UNLOCK_SECOND = 0x86,

    PCI_CLOCK = 33000000, /* Hz */
    SHIFT_SLOW = 15,
    SHIFT_FAST = 5,
};

enum unlocking { SHUT, HALF_OPEN, OPEN };

struct i6300esb {
    struct pci_device *pci;
    struct clock *clock;
    struct timer *timer;
    struct callback expired;
    uint32_t preload[2];
    unsigned stage; /* 0 or 1 */
    uint8_t lock;   /* as it stands */
    enum unlocking unlocking;
    bool interrupt_active;
    bool timed_out; /* survives a reset: so a guest learns why it has booted */
};

static void stage_begin(struct i6300esb *watchdog, unsigned stage)
{
    unsigned shift = pci_get(watchdog->pci, CONFIG, 2) & CONFIG_PRE_SEL ? SHIFT_FAST : SHIFT_SLOW;
    uint64_t clocks = ((uint64_t)watchdog->preload[stage] + 1) << shift;
    watchdog->stage = stage;
    timer_arm(watchdog->timer, clock_now(watchdog->clock) + scale(clocks, NANOSECONDS_PER_SECOND, PCI_CLOCK));
}

static void stage_passed(void *opaque)
{
    struct i6300esb *watchdog = opaque;
    if (watchdog->stage == 0) {
        watchdog->interrupt_active = true;
        stage_begin(watchdog, 1);
        return;
    }
    watchdog->timed_out = true;
    if (watchdog->lock & LOCK_FREE_RUNNING)
        stage_begin(watchdog, 0);
    if (!(pci_get(watchdog->pci, CONFIG, 2) & CONFIG_OUTPUT_OFF))
        callback_call(&watchdog->expired);
}

/* ---- configuration space */

static void config_written(void *opaque, unsigned first, unsigned last)
{
    struct i6300esb *watchdog = opaque;
    uint8_t before = watchdog->lock;
    if (first > LOCK || last < LOCK)
        return;
    if (!(before & LOCK_LOCK))
        watchdog->lock = (uint8_t)pci_get(watchdog->pci, LOCK, 1);
    pci_set(watchdog->pci, LOCK, 1, watchdog->lock);
    if (!(watchdog->lock & LOCK_ENABLE))
        timer_disarm(watchdog->timer);
    else if (!(before & LOCK_ENABLE))
        stage_begin(watchdog, 0);
}

/* ---- memory: what is written but the unlocking sequence counts once after it */

static void reload_write(struct i6300esb *watchdog, uint32_t value)
{
    if (value == UNLOCK_FIRST) {
        watchdog->unlocking = HALF_OPEN;
        return;
    }
    if (value == UNLOCK_SECOND && watchdog->unlocking == HALF_OPEN) {
        watchdog->unlocking = OPEN;
        return;
    }
    if (watchdog->unlocking == OPEN) {
        if (value & RELOAD_RELOAD && watchdog->lock & LOCK_ENABLE)
            stage_begin(watchdog, 0);
        if (value & RELOAD_TIMEOUT)
            watchdog->timed_out = false;
    }
    watchdog->unlocking = SHUT;
}

static void register_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i6300esb *watchdog = opaque;
    (void)size;
    switch (offset) {
    case PRELOAD_1:
    case PRELOAD_2:
        if (watchdog->unlocking == OPEN)
            watchdog->preload[offset / PRELOAD_2] = value & PRELOAD_MASK;
        watchdog->unlocking = SHUT;
        break;
    case INTERRUPT_STATUS:
        if (value & INTERRUPT_ACTIVE)
            watchdog->interrupt_active = false;
        break;
    case RELOAD: reload_write(watchdog, (uint32_t)value); break;
    default: break;
    }
}

static uint64_t register_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct i6300esb *watchdog = opaque;
    (void)size;
    switch (offset) {
    case PRELOAD_1:
    case PRELOAD_2: return watchdog->preload[offset / PRELOAD_2];
    case INTERRUPT_STATUS: return watchdog->interrupt_active ? INTERRUPT_ACTIVE : 0;
    case RELOAD: return watchdog->timed_out ? RELOAD_TIMEOUT : 0;
    default: return 0;
    }
}

/* ---- the machine's side */

struct i6300esb *i6300esb_create(const struct i6300esb_wiring *wiring)
{
    struct pci_identity identity = {.name = "6300ESB watchdog timer",
                                    .vendor = 0x8086,
                                    .device = 0x25ab,
                                    .class_code = 0x088000,
                                    .multifunction = wiring->multifunction,
                                    .subsystem_vendor = 0x1af4,
                                    .subsystem = 0x1100};
    struct i6300esb *watchdog = allocate(sizeof(*watchdog));
    watchdog->clock = wiring->clock;
    watchdog->expired = wiring->expired;
    watchdog->timer = timer_create_on(wiring->clock, stage_passed, watchdog);
    watchdog->pci = pci_add(wiring->pci, wiring->slot, wiring->function, &identity);
    pci_add_bar(watchdog->pci, 0,
                &(struct pci_bar){.kind = PCI_BAR_MEMORY,
                                  .size = REGISTERS_SIZE,
                                  .name = "i6300esb",
                                  .device = watchdog,
                                  .read = register_read,
                                  .write = register_write,
                                  .widest = 4});
    pci_add_register(watchdog->pci, CONFIG, 2, 0, CONFIG_WRITABLE);
    pci_add_register(watchdog->pci, LOCK, 1, 0, LOCK_WRITABLE);
    pci_on_write(watchdog->pci, config_written, watchdog);
    i6300esb_reset(watchdog);
    return watchdog;
}

void i6300esb_reset(struct i6300esb *watchdog)
{
    timer_disarm(watchdog->timer);
    watchdog->preload[0] = watchdog->preload[1] = PRELOAD_MASK;
    watchdog->stage = 0;
    watchdog->lock = 0;
    watchdog->unlocking = SHUT;
    watchdog->interrupt_active = false;
}

void i6300esb_destroy(struct i6300esb *watchdog)
{
    timer_destroy(watchdog->timer);
    free(watchdog);
}
