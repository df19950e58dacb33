/*
 * Accesses that the fast path of access.h does not finish: across pages, to devices and the CPU's own local APIC, to pages
 * that hold code or a data breakpoint.
 *
 * Source: SDM volume 3A, 8.1.1 (what may be split), 17.2 (data breakpoints).
 */
#include "cpu/soft/access.h"
#include "cpu/soft/device.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/system.h"
#include "cpu/soft/walk.h"

static cold void watch(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    enum { WATCH_WRITE = 1, WATCH_ACCESS = 3 };
    static const unsigned lengths[4] = {1, 2, 8, 4};

    if (cpu->debugging)
        debugger_watch(cpu, linear, size, write);
    for (int i = 0; i < 4; i++) {
        unsigned kind = cpu->dr[7] >> (16 + 4 * i) & 3, length = lengths[cpu->dr[7] >> (18 + 4 * i) & 3];
        uint64_t start = linear_wrap(cpu, cpu->dr[i]) & ~(uint64_t)(length - 1);

        if (!(cpu->dr[7] >> (2 * i) & 3) || !(kind == WATCH_ACCESS || (kind == WATCH_WRITE && write)))
            continue;
        if (linear < start + length && start < linear + size) {
            cpu->debug_pending |= 1u << i;
            cpu->attention = 1;
        }
    }
}

/* They trap after the instruction. */
void watch_data(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    if (debug_watches_code(cpu))
        watch(cpu, linear, size, write);
}

static bool power_of_two(unsigned size)
{
    return (size & (size - 1)) == 0;
}

/* Each CPU sees its own local APIC, whatever else is at that address. */
static cold uint64_t own_load(struct cpu *cpu, uint64_t physical, unsigned size)
{
    uint64_t value;

    cpu_lock(cpu);
    value = lapic_read(cpu->lapic, physical, size);
    cpu_unlock(cpu);
    return value;
}

static cold void own_store(struct cpu *cpu, uint64_t physical, unsigned size, uint64_t value)
{
    cpu_lock(cpu);
    lapic_write(cpu->lapic, physical, size, value);
    cpu_unlock(cpu);
}

static uint64_t physical_load(struct cpu *cpu, uint64_t physical, const uint8_t *host, unsigned size)
{
    uint64_t value = 0;

    if (host)
        return host_load(host, size);
    if (lapic_covers(cpu->lapic, physical))
        return own_load(cpu, physical, size);
    if (power_of_two(size))
        value = device_read(cpu, cpu->machine->mmio, physical, size);
    else
        for (unsigned i = 0; i < size; i++)
            value |= (device_read(cpu, cpu->machine->mmio, physical + i, 1) & 0xff) << (8 * i);
    return value;
}

static void physical_store(struct cpu *cpu, uint64_t physical, unsigned size, uint64_t value)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, physical, &length, &writable);

    if (lapic_covers(cpu->lapic, physical)) {
        own_store(cpu, physical, size, value);
    } else if (host && writable) {
        host_store(host, size, value);
        code_check_write(cpu, physical, size);
    } else if (!host) {
        if (power_of_two(size))
            device_write(cpu, cpu->machine->mmio, physical, size, value);
        else
            for (unsigned i = 0; i < size; i++)
                device_write(cpu, cpu->machine->mmio, physical + i, 1, value >> (8 * i) & 0xff);
    }
}

/* How many of the bytes lie in the first page. */
static unsigned first_part(uint64_t linear, unsigned size)
{
    uint64_t room = PAGE_SIZE - (linear & ~PAGE_MASK);

    return room < size ? room : size;
}

uint64_t slow_load(struct cpu *cpu, uint64_t linear, unsigned size, bool user)
{
    unsigned first = first_part(linear, size);
    uint8_t *host, *second_host = NULL;
    uint64_t physical, second = 0, value;

    linear = linear_wrap(cpu, linear);
    physical = paging_translate(cpu, linear, ACCESS_READ, user, &host);
    if (first < size)
        second = paging_translate(cpu, linear + first, ACCESS_READ, user, &second_host);
    watch_data(cpu, linear, size, false);
    value = physical_load(cpu, physical, host, first);
    if (first < size)
        value |= physical_load(cpu, second, second_host, size - first) << (8 * first);
    return value;
}

void slow_store(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t value, bool user)
{
    unsigned first = first_part(linear, size);
    uint8_t *host;
    uint64_t physical, second = 0;

    linear = linear_wrap(cpu, linear);
    physical = paging_translate(cpu, linear, ACCESS_WRITE, user, &host);
    if (first < size)
        second = paging_translate(cpu, linear + first, ACCESS_WRITE, user, &host);
    watch_data(cpu, linear, size, true);
    physical_store(cpu, physical, first, value);
    if (first < size)
        physical_store(cpu, second, size - first, value >> (8 * first));
}
