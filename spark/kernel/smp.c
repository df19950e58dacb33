/* smp.c: starts every CPU, and gives all of them something to count
 *
 * The first CPU sends each of the others INIT, which makes it wait, and then a startup IPI with the page where it is
 * to begin (Intel's manual, volume 3, 9.4.4). One after the other, so that they can share one trampoline:
 *
 *    8000   trampoline.asm: real mode, GDT, protected mode, paging, a stack, and then
 *   3xxxx   smp_cpu_main, below: says that it runs, and waits for work, halted
 */
#include "asm.h"
#include "const.h"
#include "interrupts.h"
#include "lapic.h"
#include "lib.h"
#include "memory.h"
#include "protect.h"
#include "smp.h"
#include "timer.h"

#define LAPIC_DEFAULT    0xFEE00000u
#define INIT_WAIT_US     10000
#define STARTUP_POLL_US  100
#define STARTUP_POLLS    500 /* 50 ms, and then the second startup IPI */
#define STARTUP_ATTEMPTS 2
#define NUMBER_NONE      0xFF

#define PRIMES_BELOW 100000u
#define CHUNK        250u /* numbers: 400 chunks, more than there can be CPUs */
#define CHUNKS       (PRIMES_BELOW / CHUNK)
#define FINISH_TICKS (60 * TIMER_HZ)

extern u8 trampoline_begin[], trampoline_end[], trampoline_gdt_ptr[], trampoline_cr3[], trampoline_stack[];

PRIVATE struct cpu cpus[CPUS_MAX];
PRIVATE u32 cpu_total = 1;
PRIVATE u8 number_of_apic_id[256];
PRIVATE int apic_in_use;
PRIVATE const char *source = "none";
PRIVATE volatile u32 work_round;
PRIVATE volatile u32 next_chunk;
PRIVATE volatile u32 starting; /* the number of the CPU that is being started */

PUBLIC u32 cpu_number(void)
{
    return apic_in_use ? number_of_apic_id[lapic_id()] : 0;
}

PUBLIC u32 smp_count(void)
{
    return cpu_total;
}

PUBLIC const struct cpu *smp_cpu(u32 number)
{
    return &cpus[number];
}

PUBLIC const char *smp_source(void)
{
    return source;
}

/* ---- Work: how many primes are there below PRIMES_BELOW? */

PRIVATE int is_prime(u32 number)
{
    if (number < 4)
        return number >= 2;
    if (number % 2 == 0)
        return 0;
    for (u32 divisor = 3; divisor * divisor <= number; divisor += 2)
        if (number % divisor == 0)
            return 0;
    return 1;
}

PRIVATE u32 chunk_claim(void)
{
    return cpu_total > 1 ? atomic_add(&next_chunk, 1) : next_chunk++;
}

/* Everyone begins with the chunk of his own number, so that everyone has a share; then whoever is first takes the
 * next one. */
PRIVATE void count_share(u32 self)
{
    struct cpu *cpu = &cpus[self];
    int has_tsc = cpu->identity.features_edx & FEATURE_TSC;
    u64 begin = has_tsc ? read_tsc() : 0;
    cpu->chunks = cpu->primes = 0;
    for (u32 chunk = self; chunk < CHUNKS; chunk = chunk_claim()) {
        for (u32 number = chunk * CHUNK; number < (chunk + 1) * CHUNK; number++)
            cpu->primes += is_prime(number);
        cpu->chunks++;
    }
    cpu->cycles = has_tsc ? read_tsc() - begin : 0;
    cpu->finished_round = work_round;
}

PRIVATE int wait_for_all(void)
{
    u32 begin = timer_ticks();
    for (u32 i = 0; i < cpu_total; i++) {
        while (cpus[i].finished_round != work_round) {
            cpu_pause();
            if (timer_ticks() - begin > FINISH_TICKS)
                return 0;
        }
    }
    return 1;
}

PRIVATE void print_shares(void)
{
    u32 chunks = 0, primes = 0;
    kprintf(" CPU  APIC id  numbers  primes  share    Mcycles\n");
    for (u32 i = 0; i < cpu_total; i++) {
        const struct cpu *cpu = &cpus[i];
        u32 thousandths = cpu->chunks * 1000 / CHUNKS;
        kprintf("%4u %8u %8u %7u  %3u.%u%% %9u\n", i, cpu->apic_id, cpu->chunks * CHUNK, cpu->primes,
                thousandths / 10, thousandths % 10, (u32)divide_u64(cpu->cycles, 1000000, NULL));
        chunks += cpu->chunks;
        primes += cpu->primes;
    }
    kprintf("together      %8u %7u  primes below %u\n", chunks * CHUNK, primes, PRIMES_BELOW);
}

PUBLIC void smp_count_primes(void)
{
    next_chunk = cpu_total;
    work_round++;
    for (u32 i = 1; i < cpu_total; i++)
        lapic_send_interrupt(cpus[i].apic_id, VECTOR_WAKE);
    count_share(0);
    if (!wait_for_all()) {
        kprintf("a CPU does not answer\n");
        return;
    }
    print_shares();
}

/* ---- Starting */

/* Where a further CPU ends up: trampoline.asm jumps here, on a page of stack. */
PUBLIC void smp_cpu_main(void)
{
    u32 self = starting;
    struct cpu *cpu = &cpus[self];
    interrupts_load();
    lapic_enable(0);
    cpu_identify(&cpu->identity);
    cpu->running = 1;
    u32 done = 0;
    for (;;) {
        interrupts_off();
        if (work_round == done) {
            __asm__ volatile("sti; hlt" : : : "memory"); /* no wake-up is lost between the two */
            continue;
        }
        __asm__ volatile("sti");
        done = work_round;
        count_share(self);
    }
}

PRIVATE int cpu_start(u32 number)
{
    u32 stack = page_allocate();
    if (!stack)
        return 0;
    starting = number;
    *(u32 *)(TRAMPOLINE + (trampoline_stack - trampoline_begin)) = stack + PAGE_SIZE;
    for (int attempt = 0; attempt < STARTUP_ATTEMPTS; attempt++) {
        lapic_send_startup(cpus[number].apic_id, TRAMPOLINE);
        for (int i = 0; i < STARTUP_POLLS && !cpus[number].running; i++)
            timer_delay(STARTUP_POLL_US);
        if (cpus[number].running)
            return 1;
    }
    lapic_send_init(cpus[number].apic_id); /* should it wake up late, it would take the next one's stack */
    page_free(stack);
    return 0;
}

PRIVATE void trampoline_install(void)
{
    memcpy((void *)TRAMPOLINE, trampoline_begin, trampoline_end - trampoline_begin);
    memcpy((void *)(TRAMPOLINE + (trampoline_gdt_ptr - trampoline_begin)), gdt_ptr, sizeof gdt_ptr);
    *(u32 *)(TRAMPOLINE + (trampoline_cr3 - trampoline_begin)) = read_cr3();
}

/* Starts the CPUs of the list, all but the one that this runs on. */
PRIVATE void start_listed(const u32 *ids, u32 count)
{
    for (u32 i = 0; i < count; i++)
        if (ids[i] != cpus[0].apic_id)
            lapic_send_init(ids[i]);
    timer_delay(INIT_WAIT_US);
    for (u32 i = 0; i < count && cpu_total < CPUS_MAX; i++) {
        if (number_of_apic_id[ids[i]] != NUMBER_NONE)
            continue;
        cpus[cpu_total].apic_id = ids[i];
        number_of_apic_id[ids[i]] = cpu_total;
        if (cpu_start(cpu_total)) {
            cpu_total++;
        } else {
            number_of_apic_id[ids[i]] = NUMBER_NONE;
            kprintf("SMP: the CPU with APIC id %u does not start\n", ids[i]);
        }
    }
}

PUBLIC void smp_init(void)
{
    static u32 ids[CPUS_MAX];
    u32 lapic = LAPIC_DEFAULT;
    memset(number_of_apic_id, NUMBER_NONE, sizeof number_of_apic_id);
    cpu_identify(&cpus[0].identity);
    cpus[0].running = 1;
    if (!(cpus[0].identity.features_edx & FEATURE_APIC)) {
        kprintf("SMP: this CPU has no local APIC, so there is 1 CPU\n");
        return;
    }
    u32 count = madt_list(ids, CPUS_MAX, &lapic);
    source = "the ACPI MADT";
    if (!count) {
        count = mp_table_list(ids, CPUS_MAX, &lapic);
        source = count ? "the MP table" : "nowhere: no ACPI MADT, no MP table";
    }
    if (!lapic_map(lapic))
        return;
    lapic_enable(1);
    cpus[0].apic_id = lapic_id();
    number_of_apic_id[cpus[0].apic_id] = 0;
    apic_in_use = 1;
    trampoline_install();
    start_listed(ids, count);
    kprintf("SMP: %u CPU%s, listed by %s\n", cpu_total, cpu_total > 1 ? "s" : "", source);
}
