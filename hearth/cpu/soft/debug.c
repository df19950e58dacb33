/*
 * Debug exceptions by the guest's own DR0 to DR7 and TF: before an instruction, and after it.
 *
 * Accesses to data are looked at in paging.c and slow.c. Source: SDM volume 3A, 17.2 and 17.3.
 */
#include "cpu/soft/access.h"
#include "cpu/soft/system.h"

enum dr6_bits { DR6_BREAKPOINTS = 0xf, DR6_BS = 1 << 14 };

void debug_take_pending(struct cpu *cpu)
{
    if (cpu->debug_pending)
        cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)DR6_BREAKPOINTS) | cpu->debug_pending;
    cpu->debug_pending = 0;
}

void debug_step_after(struct cpu *cpu)
{
    cpu->step_skipped = true;
    if (cpu->rflags & FLAG_TF)
        cpu->debug_pending |= DR6_BS;
}

void debug_before(struct cpu *cpu)
{
    uint64_t linear = cpu->segment[SEG_CS].base + cpu->rip;
    uint32_t hit = 0;

    linear = in_64bit_code(cpu) ? linear : (uint32_t)linear;
    if (cpu->rflags & FLAG_RF) {
        cpu->rflags &= ~(uint64_t)FLAG_RF;
        return;
    }
    for (int i = 0; i < 4; i++)
        if ((cpu->dr[7] >> (2 * i) & 3) && !(cpu->dr[7] >> (16 + 4 * i) & 3) &&
            system_linear(cpu, cpu->dr[i]) == linear)
            hit |= 1u << i;
    if (!hit)
        return;
    cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)DR6_BREAKPOINTS) | hit;
    fault_because(cpu, "breakpoint on execution at 0x%llx", (unsigned long long)linear);
    fault(cpu, VECTOR_DB);
}

void debug_after(struct cpu *cpu, bool stepped)
{
    uint32_t bits = cpu->debug_pending | (stepped ? DR6_BS : 0);

    cpu->debug_pending = 0;
    if (!bits)
        return;
    cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)DR6_BREAKPOINTS) | bits;
    fault_because(cpu, "%s", bits & DR6_BS ? "single step (TF)" : "a data breakpoint or the TSS's T bit");
    fault(cpu, VECTOR_DB);
}
