/*
 * KVM's memory slots, kept in step with the machine's memory map. A slot cannot be changed where it lies, only
 * deleted and made anew, so what has not changed is left alone: shadowing the BIOS must not take the guest's RAM away
 * under another CPU. For the same reason no slot crosses 1 MiB, below which the map is cut up and above which it is
 * not. Between deletion and addition another CPU sees a hole; firmware remaps with the others halted.
 *
 * The map is brought over before the next entry into the guest, once for all that an instruction changed.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/lock.h"
#include "core/log.h"
#include "cpu/kvm/kvm.h"

enum { LOW_MEMORY_END = 0x100000, SLOTS_MOST = 512 };

static int slot_write(struct engine *engine, unsigned index)
{
    const struct memory_slot *slot = &engine->slot[index];
    struct kvm_userspace_memory_region region = {
        .slot = index,
        .flags = (slot->writable ? 0 : KVM_MEM_READONLY) | (slot->logged ? KVM_MEM_LOG_DIRTY_PAGES : 0),
        .guest_phys_addr = slot->base,
        .memory_size = slot->size,
        .userspace_addr = (uintptr_t)slot->host,
    };
    return kvm_call(engine->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? errno : 0;
}

/* Cuts the map into what shall be slots; answers how many. */
static unsigned wanted_slots(const struct memory *memory, struct memory_slot *wanted, unsigned most)
{
    size_t ranges;
    const struct memory_range *range = memory_ranges(memory, &ranges);
    unsigned count = 0;

    for (; ranges; ranges--, range++) {
        struct memory_slot slot = {range->base, range->size, range->host, range->writable, false};
        uint64_t end = slot.base + slot.size;
        if (slot.base < LOW_MEMORY_END && end > LOW_MEMORY_END && count < most) {
            slot.size = LOW_MEMORY_END - slot.base;
            wanted[count++] = slot;
            slot = (struct memory_slot){LOW_MEMORY_END, end - LOW_MEMORY_END, slot.host + slot.size,
                                        slot.writable, false};
        }
        if (count < most)
            wanted[count++] = slot;
    }
    return count;
}

static bool same(const struct memory_slot *a, const struct memory_slot *b)
{
    return a->base == b->base && a->size == b->size && a->host == b->host && a->writable == b->writable;
}

/* Takes out of `wanted` what is a slot already, and deletes the slots that are not wanted. */
static int delete_vanished(struct engine *engine, struct memory_slot *wanted, unsigned count)
{
    for (unsigned index = 0; index < engine->slots; index++) {
        struct memory_slot *slot = &engine->slot[index];
        unsigned at = 0;
        if (!slot->size)
            continue;
        while (at < count && !same(slot, &wanted[at]))
            at++;
        if (at < count) {
            wanted[at].size = 0;
            continue;
        }
        /* Its log goes with it. */
        memory_log_mark(engine->machine.memory, slot->host, slot->size);
        slot->size = 0;
        slot->logged = false;
        int error = slot_write(engine, index);
        if (error)
            return error;
    }
    return 0;
}

static bool slot_wants_log(const struct engine *engine, const struct memory_slot *slot)
{
    return slot->size && slot->writable && memory_log_wants(engine->machine.memory, slot->host, slot->size);
}

static int add_new(struct engine *engine, const struct memory_slot *wanted, unsigned count)
{
    unsigned index = 0;
    for (unsigned at = 0; at < count; at++) {
        if (!wanted[at].size)
            continue;
        while (index < engine->slots && engine->slot[index].size)
            index++;
        if (index == engine->slots)
            return ENOSPC;
        engine->slot[index] = wanted[at];
        engine->slot[index].logged = slot_wants_log(engine, &wanted[at]);
        int error = slot_write(engine, index);
        if (error) {
            engine->slot[index].size = 0;
            return error;
        }
    }
    return 0;
}

/* The mark comes off when all is done: a CPU that finds none may enter at once. It is set with the lock held. */
int slots_update(struct engine *engine)
{
    struct memory_slot wanted[SLOTS_MOST];
    int error = 0;

    if (!atomic_load(&engine->map_changed))
        return 0;
    machine_lock();
    if (atomic_load(&engine->map_changed)) {
        unsigned count = wanted_slots(engine->machine.memory, wanted, engine->slots);
        error = delete_vanished(engine, wanted, count);
        if (!error)
            error = add_new(engine, wanted, count);
        atomic_store(&engine->map_changed, false);
    }
    machine_unlock();
    return error;
}

/* A vCPU whose own instruction changed the map comes by slots_update() before its next one; the others are told. */
static void map_changed(void *opaque, uint64_t base, uint64_t size)
{
    struct engine *engine = opaque;
    (void)base;
    (void)size;
    atomic_store(&engine->map_changed, true);
    for (unsigned i = 0; i < engine->vcpus_made; i++)
        vcpu_wake(&engine->vcpus[i]);
}

/* ---- the log of what guests write: a flag of a slot, which may be changed where it lies */

static bool log_changed(void *opaque)
{
    struct engine *engine = opaque;
    bool works = true;
    for (unsigned index = 0; index < engine->slots; index++) {
        struct memory_slot *slot = &engine->slot[index];
        bool wants = slot_wants_log(engine, slot);
        if (slot->logged == wants)
            continue;
        slot->logged = wants;
        if (slot_write(engine, index))
            works = slot->logged = false;
    }
    return works;
}

/* Marks the pages of one slot; all of them if the kernel does not say. */
static void log_read(struct engine *engine, unsigned index)
{
    const struct memory_slot *slot = &engine->slot[index];
    struct memory *memory = engine->machine.memory;
    uint64_t pages = slot->size / PAGE_SIZE;
    uint64_t *bits = allocate((pages + 63) / 64 * sizeof(*bits));
    struct kvm_dirty_log log = {.slot = index, .dirty_bitmap = bits};

    if (kvm_call(engine->vm, KVM_GET_DIRTY_LOG, &log) < 0)
        memory_log_mark(memory, slot->host, slot->size);
    else
        for (uint64_t page = 0; page < pages; page++)
            if (bits[page / 64] >> page % 64 & 1)
                memory_log_mark(memory, slot->host + page * PAGE_SIZE, PAGE_SIZE);
    free(bits);
}

static void log_collect(void *opaque)
{
    struct engine *engine = opaque;
    for (unsigned index = 0; index < engine->slots; index++)
        if (engine->slot[index].logged)
            log_read(engine, index);
}

bool slots_create(struct engine *engine, char *error, size_t error_size)
{
    struct memory_listener listener = {
        .opaque = engine, .map_changed = map_changed, .log_changed = log_changed, .log_collect = log_collect};
    int slots = kvm_has(engine->kvm, KVM_CAP_NR_MEMSLOTS);

    if (!kvm_has(engine->kvm, KVM_CAP_READONLY_MEM)) {
        snprintf(error, error_size,
                 "this KVM has no read-only memory for the ROMs: a kernel of 4.12 or newer has");
        return false;
    }
    engine->slots = slots < 32 ? 32 : slots > SLOTS_MOST ? SLOTS_MOST : (unsigned)slots;
    engine->slot = allocate(engine->slots * sizeof(*engine->slot));
    atomic_store(&engine->map_changed, true);
    memory_listen(engine->machine.memory, &listener);
    return true;
}

void slots_destroy(struct engine *engine)
{
    if (engine->slot)
        memory_listen(engine->machine.memory, NULL);
    free(engine->slot);
}
