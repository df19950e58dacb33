/*
 * LOCKed operands that the fast path of access.h does not take: pages without a fast write tag, operands that cross a
 * cache line, MMIO and ROM.
 *
 * An operand that lies in one line is the host's to lock; one that crosses lines is had by stopping all other CPUs, since
 * hosts may forbid or punish split locks. Devices and ROM see a read and a write.
 * Source: SDM volume 3A, 8.1.2 (bus locking) and 8.1.2.2 (LOCK).
 */
#include "cpu/soft/access.h"
#include "cpu/soft/soft.h"

enum locked_way { BY_HOST, BY_STOPPING, BY_HALVES };

/* True with the other CPUs stopped, where both pages are memory and no access to them faults any more. */
static bool stop_others(struct cpu *cpu, uint64_t linear, uint64_t last, unsigned size, bool user)
{
    for (;;) {
        write_check(cpu, linear, size, user);
        if (!paging_ready(cpu, linear, user) || !paging_ready(cpu, last, user))
            return false;
        gate_close(cpu->soft, cpu);
        if (paging_ready(cpu, linear, user) && paging_ready(cpu, last, user))
            return true;
        gate_open(cpu->soft);
    }
}

uint64_t locked_begin_slowly(struct cpu *cpu, uint64_t linear, unsigned size)
{
    uint64_t last = (linear + size - 1) & cpu->linear_mask;
    bool user = is_user(cpu);

    cpu->locked.linear = linear;
    cpu->locked.host = NULL;
    if (in_one_line(linear, size)) {
        cpu->locked.physical = paging_translate(cpu, linear, ACCESS_WRITE, user, &cpu->locked.host);
        cpu->locked.way = cpu->locked.host ? BY_HOST : BY_HALVES;
    } else {
        cpu->locked.way = stop_others(cpu, linear, last, size, user) ? BY_STOPPING : BY_HALVES;
    }
    if (cpu->locked.way != BY_HOST)
        return slow_load(cpu, linear, size, user);
    watch_data(cpu, linear, size, true);
    return host_load(cpu->locked.host, size);
}

bool locked_end_slowly(struct cpu *cpu, unsigned size, uint64_t expected, uint64_t value)
{
    if (cpu->locked.way == BY_HOST) {
        if (!host_exchange(cpu->locked.host, size, expected, value))
            return false;
        code_check_write(cpu, cpu->locked.physical, size);
        return true;
    }
    slow_store(cpu, cpu->locked.linear, size, value, is_user(cpu));
    if (cpu->locked.way == BY_STOPPING)
        gate_open(cpu->soft);
    return true;
}

static bool host_exchange_16(uint8_t *host, uint64_t expected[2], const uint64_t value[2])
{
    bool done;

    asm volatile("lock cmpxchg16b %1"
                 : "=@ccz"(done), "+m"(*(unsigned __int128 *)host), "+a"(expected[0]), "+d"(expected[1])
                 : "b"(value[0]), "c"(value[1])
                 : "memory");
    return done;
}

bool locked_exchange_16(struct cpu *cpu, uint64_t linear, uint64_t expected[2], const uint64_t value[2])
{
    bool user = is_user(cpu), done;
    uint8_t *host;
    uint64_t physical = paging_translate(cpu, linear, ACCESS_WRITE, user, &host), found[2];

    watch_data(cpu, linear, 16, true);
    if (host) {
        done = host_exchange_16(host, expected, value);
        code_check_write(cpu, physical, 16);
        return done;
    }
    for (unsigned i = 0; i < 2; i++)
        found[i] = slow_load(cpu, linear + 8 * i, 8, user);
    done = found[0] == expected[0] && found[1] == expected[1];
    for (unsigned i = 0; i < 2; i++)
        slow_store(cpu, linear + 8 * i, 8, done ? value[i] : found[i], user);
    memcpy(expected, found, sizeof(found));
    return done;
}
