/*
 * The interrupt chips, the 8254 and the clocks that KVM has in the kernel: made, reset, driven, shown, and stopped
 * with the machine's time.
 *
 * A reset puts back what the chips held when they were new. While time stands, the kernel's 8254 goes on counting;
 * its state of that moment is put back afterwards, and so are KVM's clock and the time stamp counters (the latter
 * from Linux 5.16 on; before, the guest sees that counter jump).
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst: KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_SET_GSI_ROUTING,
 * KVM_SET_CLOCK, KVM_KVMCLOCK_CTRL; devices/vcpu.rst, KVM_VCPU_TSC_CTRL; Intel 8259A and 82093AA datasheets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "core/log.h"
#include "cpu/kvm/kvm.h"

enum {
    ISA_LINES = 16,
    IOAPIC_PINS = 24,
    CASCADE = 2,    /* the master 8259A's input that the slave hangs on */
    TIMER_PIN = 2,  /* where the 8254 reaches the IOAPIC: pin 0 is for the 8259A's INTR */
    TIMER_LINE = 0, /* and the 8259A */

    REDIRECTION_MASKED = 1 << 16,
};

static bool refused(const char *what, char *error, size_t error_size)
{
    snprintf(error, error_size, "KVM refuses %s: %s", what, strerror(errno));
    return false;
}

static void route(struct kvm_irq_routing *routing, unsigned gsi, unsigned chip, unsigned pin)
{
    struct kvm_irq_routing_entry *entry = &routing->entries[routing->nr++];
    entry->gsi = gsi;
    entry->type = KVM_IRQ_ROUTING_IRQCHIP;
    entry->u.irqchip.irqchip = chip;
    entry->u.irqchip.pin = pin;
}

static bool route_all(struct engine *engine)
{
    struct kvm_irq_routing *routing =
        allocate(sizeof(*routing) + (ISA_LINES + IOAPIC_PINS) * sizeof(routing->entries[0]));

    for (unsigned gsi = 0; gsi < ISA_LINES; gsi++)
        if (gsi != CASCADE)
            route(routing, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
    for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++)
        if (gsi == TIMER_LINE)
            route(routing, gsi, KVM_IRQCHIP_IOAPIC, TIMER_PIN);
        else if (gsi != TIMER_PIN)
            route(routing, gsi, KVM_IRQCHIP_IOAPIC, gsi);
    bool taken = kvm_call(engine->vm, KVM_SET_GSI_ROUTING, routing) == 0;
    free(routing);
    return taken;
}

static bool note_power_on(struct engine *engine)
{
    for (unsigned i = 0; i < CHIPS; i++) {
        engine->chip[i].chip_id = i;
        if (kvm_call(engine->vm, KVM_GET_IRQCHIP, &engine->chip[i]) < 0)
            return false;
    }
    return !engine->abilities.pit || kvm_call(engine->vm, KVM_GET_PIT2, &engine->pit) == 0;
}

/* The chips are there or left out as a whole; a kernel without them (KVM_CAP_IRQCHIP) gives none. */
bool chips_create(struct engine *engine, char *error, size_t error_size)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY}; /* answers port 61h as well */

    if (engine->machine.no_irqchip || !kvm_has(engine->kvm, KVM_CAP_IRQCHIP)) {
        if (engine->machine.cpus == 1)
            return true;
        snprintf(error, error_size,
                 "several CPUs need the kernel's interrupt chips: without kernel-irqchip=off");
        return false;
    }
    if (kvm_call(engine->vm, KVM_CREATE_IRQCHIP, NULL) < 0)
        return refused("its interrupt chips", error, error_size);
    engine->abilities.irqchip = true;
    if (!route_all(engine))
        return refused("the interrupts' routing", error, error_size);
    if (kvm_has(engine->kvm, KVM_CAP_PIT2) && kvm_has(engine->kvm, KVM_CAP_PIT_STATE2)) {
        if (kvm_call(engine->vm, KVM_CREATE_PIT2, &pit) < 0)
            return refused("its 8254", error, error_size);
        engine->abilities.pit = true;
    }
    return note_power_on(engine) || refused("to show its chips", error, error_size);
}

void chips_reset(struct engine *engine)
{
    if (!engine->abilities.irqchip)
        return;
    for (unsigned i = 0; i < CHIPS; i++)
        kvm_call(engine->vm, KVM_SET_IRQCHIP, &engine->chip[i]);
    if (!engine->abilities.pit)
        return;
    engine->stopped_pit = engine->pit;
    kvm_call(engine->vm, KVM_SET_PIT2, &engine->pit);
}

void chips_set(struct engine *engine, int gsi, bool level)
{
    struct kvm_irq_level line = {.irq = (unsigned)gsi, .level = level};
    kvm_call(engine->vm, KVM_IRQ_LINE, &line);
}

/* Its own IOAPIC and local APICs do without; this is for messages of devices. */
void chips_message(struct engine *engine, const struct interrupt_message *message)
{
    struct kvm_msi msi = {
        .address_lo = (uint32_t)MESSAGE_ADDRESS | message->destination << MESSAGE_ADDRESS_DESTINATION_SHIFT |
                      (message->logical ? MESSAGE_ADDRESS_LOGICAL : 0),
        .data = message->vector | (uint32_t)message->delivery << MESSAGE_DATA_DELIVERY_SHIFT |
                (message->level ? MESSAGE_DATA_LEVEL | MESSAGE_DATA_ASSERT : 0),
    };
    kvm_call(engine->vm, KVM_SIGNAL_MSI, &msi);
}

/* ---- info pic */

static void print_pic(const struct kvm_irqchip *chip, FILE *out)
{
    const struct kvm_pic_state *pic = &chip->chip.pic;
    fprintf(out, "pic%u: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n",
            chip->chip_id, pic->irr, pic->imr, pic->isr, pic->priority_add, pic->irq_base,
            pic->read_reg_select, pic->elcr, pic->special_fully_nested_mode);
}

static void print_ioapic(const struct kvm_ioapic_state *ioapic, FILE *out)
{
    fprintf(out, "ioapic0: id=%02x irr=%06x\n", ioapic->id, ioapic->irr);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t bits = ioapic->redirtbl[pin].bits;
        if (!(bits & REDIRECTION_MASKED))
            fprintf(out, "  pin %-2u %016llx vector %02x\n", pin, (unsigned long long)bits,
                    (unsigned)(bits & 0xff));
    }
}

void chips_print(struct engine *engine, FILE *out)
{
    for (unsigned i = 0; i < CHIPS; i++) {
        struct kvm_irqchip chip = {.chip_id = i};
        if (kvm_call(engine->vm, KVM_GET_IRQCHIP, &chip) < 0)
            fprintf(out, "KVM does not show its chips: %s\n", strerror(errno));
        else if (i == CHIP_IOAPIC)
            print_ioapic(&chip.chip.ioapic, out);
        else
            print_pic(&chip, out);
    }
}

/* ---- time */

static bool time_stamp_offset(struct vcpu *vcpu, unsigned long request, uint64_t *offset)
{
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};
    return kvm_call(vcpu->descriptor, request, &attribute) == 0;
}

static void stop_clocks(struct engine *engine)
{
    engine->stopped_at = __rdtsc();
    memset(&engine->stopped_clock, 0, sizeof(engine->stopped_clock));
    kvm_call(engine->vm, KVM_GET_CLOCK, &engine->stopped_clock);
    if (engine->abilities.pit)
        kvm_call(engine->vm, KVM_GET_PIT2, &engine->stopped_pit);
}

static void continue_clocks(struct engine *engine)
{
    uint64_t missed = __rdtsc() - engine->stopped_at;

    for (unsigned i = 0; i < engine->vcpus_made; i++) {
        struct vcpu *vcpu = &engine->vcpus[i];
        uint64_t offset;
        if (time_stamp_offset(vcpu, KVM_GET_DEVICE_ATTR, &offset)) {
            offset -= missed;
            time_stamp_offset(vcpu, KVM_SET_DEVICE_ATTR, &offset);
        }
        kvm_call(vcpu->descriptor, KVM_KVMCLOCK_CTRL, NULL); /* refused where the guest has no such clock */
    }
    engine->stopped_clock.flags = 0;
    kvm_call(engine->vm, KVM_SET_CLOCK, &engine->stopped_clock);
    if (engine->abilities.pit)
        kvm_call(engine->vm, KVM_SET_PIT2, &engine->stopped_pit);
}

void time_stopped(struct engine *engine, bool stopped)
{
    if (stopped == engine->time_stopped)
        return;
    engine->time_stopped = stopped;
    if (stopped)
        stop_clocks(engine);
    else
        continue_clocks(engine);
}
