/*
 * VMCALL and VMMCALL: the hypercalls of KVM that a guest may try without having been told of any.
 *
 * There is one, which sends an interrupt to many CPUs at once; all others answer that they are not there. CPUID does not
 * tell of KVM. Left out: clocks, kicks, page sharing.
 * Source: Linux, Documentation/virt/kvm/x86/hypercalls.rst.
 */
#include "cpu/soft/device.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/system.h"

enum hypercall { HYPERCALL_SEND_IPI = 10 };
enum answer { NOT_PERMITTED = -1, INVALID = -22, NOT_THERE = -1000 };
enum {
    COMMAND_VECTOR = 0xff,
    COMMAND_DELIVERY_SHIFT = 8,
    COMMAND_DELIVERY = 7,
    COMMAND_DESTINATION = 1 << 11 | 3 << 18, /* the APIC's ways of naming CPUs: not used with this */
};

/* To the CPUs `first` + n for each bit n; how many there are of them. */
static int send(struct cpu *cpu, uint64_t bits, uint64_t first, uint32_t command)
{
    int sent = 0;

    for (; bits; bits &= bits - 1) {
        uint64_t id = first + (unsigned)__builtin_ctzll(bits);
        struct interrupt_message message = {.destination = id,
                                            .delivery = command >> COMMAND_DELIVERY_SHIFT & COMMAND_DELIVERY,
                                            .vector = command & COMMAND_VECTOR};

        if (id >= cpu->machine->cpus)
            continue;
        engine_soft.message((struct engine *)cpu->soft, &message);
        sent++;
    }
    return sent;
}

static int64_t send_ipi(struct cpu *cpu, bool wide)
{
    unsigned width = wide ? 64 : 32;
    uint64_t low = cpu->gpr[RBX], high = cpu->gpr[RCX], first = (uint32_t)cpu->gpr[RDX];
    uint32_t command = cpu->gpr[RSI];
    int sent;

    if (command & COMMAND_DESTINATION)
        return INVALID;
    cpu_lock(cpu);
    sent = send(cpu, wide ? low : (uint32_t)low, first, command);
    sent += send(cpu, wide ? high : (uint32_t)high, first + width, command);
    cpu_unlock(cpu);
    return sent;
}

void system_hypercall(struct cpu *cpu)
{
    bool wide = in_64bit_code(cpu);
    int64_t answer = NOT_THERE;

    if (cpl(cpu) != 0)
        answer = NOT_PERMITTED;
    else if ((uint32_t)cpu->gpr[RAX] == HYPERCALL_SEND_IPI)
        answer = send_ipi(cpu, wide);
    cpu->gpr[RAX] = wide ? (uint64_t)answer : (uint32_t)answer;
}
