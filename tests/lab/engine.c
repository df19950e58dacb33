/*
 * The KVM engine against a real KVM: tiny guests in each mode, ports, MMIO, remapping, kicks, trouble, reset; interrupts
 * are in engine_interrupts.c. Runs in the lab (engine_test.py); the guests are in guests.asm.
 */
#include "lab/engine_guest.h"

/* ---- guests in each mode */

static void real_mode(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_REAL, GUEST(real));
    run_to_done(setup);
    assert_note(setup, 0, 'w', 0, 2, 0);
    assert_note(setup, 1, 'w', 0, 4, 0x12345678);
    setup_destroy(setup);
}

static void protected_in(enum kvm_mode mode)
{
    struct setup *setup = setup_create(false, 1);
    start(setup, mode, GUEST(protected));
    run_to_done(setup);
    assert_note(setup, 0, 'w', 0, 4, 1);
    assert_note(setup, 1, 'w', 0, 4, 0xfff00001);
    setup_destroy(setup);
}

static void protected_mode(void **state)
{
    (void)state;
    protected_in(KVM_PROTECTED);
}

static void paging_32(void **state)
{
    (void)state;
    protected_in(KVM_PAGED_32);
}

static void long_mode(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_LONG, GUEST(long));
    run_to_done(setup);
    assert_note(setup, 0, 'w', 0, 4, 2);
    assert_note(setup, 1, 'w', 0, 4, 0xfffffffe);
    setup_destroy(setup);
}

/* ---- exits */

static void ports_of_all_sizes_and_strings(void **state)
{
    (void)state;
    static const struct note expected[] = {
        {'r', 0, 0, 1},      {'w', 0, 0x21, 1}, {'r', 0, 0, 2},
        {'w', 0, 0x4321, 2}, {'r', 0, 0, 4},    {'w', 0, 0x87654321, 4},
    };
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_REAL, GUEST(ports));
    run_to_done(setup);
    for (unsigned i = 0; i < 6; i++)
        assert_note(setup, i, expected[i].what, 0, expected[i].size, expected[i].value);
    for (unsigned i = 6; i < 11; i++)
        assert_note(setup, i, 'r', 0, 2, 0);
    for (unsigned i = 11; i < 21; i++)
        assert_note(setup, i, 'w', 0, 1, i % 2 ? 0x21 : 0x43);
    assert_int_equal(setup->count, 21);
    setup_destroy(setup);
}

static void a_port_sees_and_changes_registers(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint64_t gpr[GPR_COUNT];
    assert_false(engine_kvm.registers(setup->engine, gpr, false)); /* nobody is at a port */
    setup->change_registers = true;
    start(setup, KVM_PROTECTED, GUEST(backdoor));
    run_to_done(setup);
    assert_note(setup, 1, 'w', 0, 4, 0x87654321);
    assert_note(setup, 2, 'w', 0, 4, 0x66666666);
    assert_note(setup, 3, 'w', 0, 4, 0x22222222);
    assert_note(setup, 4, 'w', 0, 4, 0x44444445);
    setup_destroy(setup);
}

static void mmio_of_all_sizes(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(mmio));
    run_to_done(setup);
    assert_note(setup, 0, 'W', 0, 1, 0x11);
    assert_note(setup, 1, 'W', 2, 2, 0x2222);
    assert_note(setup, 2, 'W', 4, 4, 0x44444444);
    assert_note(setup, 3, 'R', 0, 1, 0);
    assert_note(setup, 4, 'R', 2, 2, 0);
    assert_note(setup, 5, 'R', 4, 4, 0);
    /* Over the page's end: however it is cut, each byte comes once, in order. */
    uint64_t next = 0xffe, value = 0;
    for (unsigned i = 6; i < setup->count - 1; i++) {
        assert_int_equal(setup->notes[i].what, 'W');
        assert_int_equal(setup->notes[i].offset, next);
        value |= setup->notes[i].value << 8 * (next - 0xffe);
        next += setup->notes[i].size;
    }
    assert_int_equal(next, 0x1002);
    assert_int_equal(value, 0xa1b2c3d4);
    assert_note(setup, setup->count - 1, 'w', 0, 4, 0xffffffff);
    setup_destroy(setup);
}

static void mmio_of_eight_bytes(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state after;
    start(setup, KVM_LONG, GUEST(mmio_wide));
    run_to_done(setup);
    assert_note(setup, 0, 'W', 8, 8, 0x8877665544332211);
    assert_note(setup, 1, 'R', 8, 8, 0);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_int_equal(after.gpr[RAX], 0x1122334455667790);
    setup_destroy(setup);
}

/* Shadowing, as PAM does it: seen at the next instruction, and the guest's RAM keeps its slot. */
/* The log of the RAM's pages: those that the guest or a device wrote to, each told of once; what a slot that goes away knew
 * is not lost. */
static void writes_are_logged(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint8_t *ram = memory_ram(setup->memory);
    uint64_t pages[RAM / PAGE_SIZE / 64] = {0};
    const uint64_t shadow = 1ull << WINDOW / PAGE_SIZE % 64, device = 1ull << 0x200000 / PAGE_SIZE % 64;

    start(setup, KVM_PROTECTED, GUEST(window));
    machine_lock();
    assert_false(memory_log_take(setup->memory, ram, RAM, pages)); /* starts it */
    machine_unlock();
    run_to_done(setup);
    machine_lock();
    memory_write(setup->memory, 0x200ffe, "one", 3);
    assert_true(memory_log_take(setup->memory, ram, RAM, pages));
    assert_true(pages[WINDOW / PAGE_SIZE / 64] & shadow);
    assert_int_equal(pages[0x200000 / PAGE_SIZE / 64], device | device << 1);
    memset(pages, 0, sizeof(pages));
    assert_true(memory_log_take(setup->memory, ram, RAM, pages));
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        assert_int_equal(pages[i], 0);
    memory_log_stop(setup->memory, ram);
    for (unsigned i = 0; i < setup->engine->slots; i++)
        assert_false(setup->engine->slot[i].logged);
    machine_unlock();
    setup_destroy(setup);
}

static void memory_is_remapped_under_the_guest(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint8_t *shadow = memory_ram(setup->memory) + WINDOW;
    memset(shadow, 0x77, 4);
    start(setup, KVM_PROTECTED, GUEST(window));
    engine_kvm.kick(setup->vcpu);
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED); /* the slots are made now */

    struct memory_slot before = {0}, after = {0};
    unsigned at = 0;
    while (setup->engine->slot[at].base != MEGABYTE)
        at++;
    before = setup->engine->slot[at];
    run_to_done(setup);
    after = setup->engine->slot[at];
    assert_memory_equal(&before, &after, sizeof(before));
    assert_note(setup, 0, 'w', 0, 4, 0xcccccccc);
    assert_note(setup, 1, 'w', 0, 4, 0xcccccccc);
    assert_note(setup, 2, 'w', 0, 4, 0x77777777);
    assert_note(setup, 3, 'w', 0, 4, 0x66666666);
    assert_note(setup, 4, 'w', 0, 4, 0xcccccccc);
    assert_int_equal(setup->rom[ROM_SIZE - WINDOW_SIZE], 0xcc);
    assert_int_equal(shadow[0], 0x66);
    setup_destroy(setup);
}

/* One range through all of low memory, cut up and joined again: what is above 1 MiB is no part of it. */
static void slots_below_1_mib_come_and_go(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct memory_range all = {0, RAM, memory_ram(setup->memory), true, "ram"};
    start(setup, KVM_REAL, GUEST(real));
    for (unsigned i = 0; i < 6; i++) {
        machine_lock();
        memory_map(setup->memory, &all);
        if (i % 2)
            for (uint64_t base = 0xc0000; base < MEGABYTE; base += 0x4000)
                if (base / 0x4000 % 2)
                    memory_unmap(setup->memory, base, 0x4000);
        machine_unlock();
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
        unsigned used = 0;
        for (unsigned at = 0; at < setup->engine->slots; at++)
            used += setup->engine->slot[at].size != 0;
        assert_int_equal(used, i % 2 ? 10 : 3);
    }
    run_to_done(setup);
    setup_destroy(setup);
}

/* ---- kicks */

static void kick_ends_a_loop(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(spin));
    for (unsigned i = 0; i < 60; i++) {
        pthread_t thread = launch(thread_run, setup);
        if (i % 3 == 0)
            usleep(1000 * (i % 7));
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(join(thread), RUN_KICKED);
    }
    setup_destroy(setup);
}

/* Kicks ever later until the guest is in HLT, then some more: it stays there. */
static void kick_ends_hlt_with(bool no_irqchip)
{
    struct setup *setup = setup_create(no_irqchip, 1);
    struct cpu_state after = {0};
    start(setup, KVM_REAL, GUEST(sleep));
    for (unsigned i = 0, halted = 0; halted < 5; i++) {
        pthread_t thread = launch(thread_run, setup);
        usleep(halted % 2 ? 0 : 3000 * i);
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(join(thread), RUN_KICKED);
        engine_kvm.get_state(setup->vcpu, &after);
        assert_true(after.halted || !halted);
        halted += after.halted;
        assert_in_range(i, 0, 200);
    }
    assert_int_equal(after.rip, CODE + 1);
    setup_destroy(setup);
}

static void kick_ends_hlt(void **state)
{
    (void)state;
    kick_ends_hlt_with(false);
}

static void kick_ends_hlt_without_the_kernels_chips(void **state)
{
    (void)state;
    kick_ends_hlt_with(true);
}

static void a_kick_before_run_is_not_lost(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(spin));
    for (unsigned i = 0; i < 100; i++) {
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
    }
    setup_destroy(setup);
}

/* An instruction that was at its port read when the kick came is complete when run() is back. */
static void a_kick_in_a_port_read_completes_it(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state after;
    start(setup, KVM_REAL, GUEST(input_kicked));
    setup->kick_on_read = true;
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_int_equal(after.gpr[RAX], 0xdeadbe21);
    assert_int_equal(after.rip, CODE + 10);
    after.gpr[RAX] = 0x55; /* and what is set now stays */
    engine_kvm.set_state(setup->vcpu, &after);
    engine_kvm.kick(setup->vcpu);
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_int_equal(after.gpr[RAX], 0x55);
    setup_destroy(setup);
}

/* ---- state */

static void assert_segments(const struct segment *expected, const struct segment *found, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(expected[i].selector, found[i].selector);
        assert_int_equal(expected[i].rights, found[i].rights);
        assert_int_equal(expected[i].limit, found[i].limit);
        assert_int_equal(expected[i].base, found[i].base);
    }
}

static void reset_is_the_state_after_power_on(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state fresh, after;
    engine_kvm.get_state(setup->vcpu, &fresh);
    assert_int_equal(fresh.rip, 0xfff0);
    assert_int_equal(fresh.segment[SEG_CS].selector, 0xf000);
    assert_int_equal(fresh.segment[SEG_CS].base, 0xffff0000);
    assert_int_equal(fresh.segment[SEG_CS].limit, 0xffff);
    assert_int_equal(fresh.rflags, FLAG_1);
    assert_int_equal(fresh.cr0, CR0_ET | CR0_NW | CR0_CD);
    assert_int_equal(fresh.idtr.limit, 0xffff);

    start(setup, KVM_LONG, GUEST(long));
    run_to_done(setup);
    engine_kvm.reset(setup->vcpu);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_memory_equal(fresh.gpr, after.gpr, sizeof(fresh.gpr));
    assert_segments(fresh.segment, after.segment, SEG_COUNT);
    assert_segments(&fresh.tr, &after.tr, 1);
    assert_int_equal(fresh.rip, after.rip);
    assert_int_equal(fresh.rflags, after.rflags);
    assert_int_equal(fresh.cr0, after.cr0);
    assert_int_equal(fresh.cr3, after.cr3);
    assert_int_equal(fresh.cr4, after.cr4);
    assert_int_equal(fresh.efer, after.efer);
    assert_int_equal(fresh.idtr.limit, after.idtr.limit);
    assert_memory_equal(fresh.dr, after.dr, sizeof(fresh.dr));
    assert_memory_equal(fresh.fx, after.fx, sizeof(fresh.fx));
    setup_destroy(setup);
}

/* The vector at FFFFFFF0h is in the ROM below 4 GiB: an endless jump here, found there again after a reset. */
static void reset_starts_in_the_rom(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state after;
    setup->rom[ROM_SIZE - 16] = 0xe6; /* out DONE, al */
    setup->rom[ROM_SIZE - 15] = PORT_DONE;
    for (unsigned i = 0; i < 3; i++) {
        setup->done = false;
        run_to_done(setup);
        engine_kvm.get_state(setup->vcpu, &after);
        assert_int_equal(after.rip, 0xfff2);
        assert_int_equal(after.segment[SEG_CS].base, 0xffff0000);
        engine_kvm.reset(setup->vcpu);
    }
    setup_destroy(setup);
}

static void state_goes_in_and_comes_out(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state in, out;
    start(setup, KVM_LONG, GUEST(long));
    engine_kvm.get_state(setup->vcpu, &in);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        in.gpr[i] = 0x0101010101010101 * (i + 1);
    in.rflags = FLAG_1 | FLAG_CF | FLAG_IF | FLAG_DF;
    in.gdtr = (struct table_register){0x123450, 0x67};
    in.idtr = (struct table_register){0x543210, 0xfff};
    in.segment[SEG_GS].base = 0x7766554433;
    in.cr2 = 0xabcdef;
    in.cr8 = 5;
    in.dr[0] = 0x1000;
    in.dr[7] = 0x402;
    in.interrupt_shadow = true;
    for (unsigned i = 0; i < 16; i++)
        for (unsigned byte = 0; byte < 16; byte++)
            in.fx[160 + 16 * i + byte] = (uint8_t)(i * 16 + byte);
    for (unsigned i = 0; i < 8; i++)
        memset(&in.fx[32 + 16 * i], 0x10 + (int)i, 10);
    in.fx[0] = 0x7f;
    in.fx[1] = 0x02;
    in.fx[4] = 0xff;
    engine_kvm.set_state(setup->vcpu, &in);
    engine_kvm.get_state(setup->vcpu, &out);
    assert_memory_equal(in.gpr, out.gpr, sizeof(in.gpr));
    assert_int_equal(in.rflags, out.rflags);
    assert_segments(in.segment, out.segment, SEG_COUNT);
    assert_int_equal(in.gdtr.base, out.gdtr.base);
    assert_int_equal(in.gdtr.limit, out.gdtr.limit);
    assert_int_equal(in.idtr.base, out.idtr.base);
    assert_int_equal(in.cr0, out.cr0);
    assert_int_equal(in.cr2, out.cr2);
    assert_int_equal(in.cr3, out.cr3);
    assert_int_equal(in.cr8, out.cr8);
    assert_int_equal(in.efer, out.efer);
    assert_int_equal(in.dr[0], out.dr[0]);
    assert_int_equal(in.dr[7], out.dr[7]);
    assert_true(out.interrupt_shadow);
    assert_memory_equal(in.fx, out.fx, 24);
    assert_memory_equal(in.fx + 32, out.fx + 32, 128 + 256);
    setup_destroy(setup);
}

static void ask_cpuid(struct setup *setup, uint32_t leaf)
{
    spot(setup)[0] = leaf;
    spot(setup)[1] = 0;
    setup->done = false;
    engine_kvm.reset(setup->vcpu);
    start(setup, KVM_PROTECTED, GUEST(cpuid));
    run_to_done(setup);
}

static void cpuid_is_a_plain_pc(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint32_t *answer = spot(setup);
    ask_cpuid(setup, 0x40000000);
    assert_int_equal(answer[0], 0x40000010);
    assert_memory_equal(&answer[1], "KVMKVMKVM\0\0\0", 12);
    ask_cpuid(setup, 0x40000010);
    assert_true(answer[0] > 100000); /* kHz */
    ask_cpuid(setup, 1);
    assert_int_equal(answer[1] >> 24, 0);
    assert_int_equal(answer[1] >> 16 & 0xff, 0);
    assert_true(answer[3] & 1 << 9);              /* APIC */
    assert_true(answer[2] & 1u << 31);            /* hypervisor */
    assert_false(answer[3] & 1 << 28);            /* HTT */
    assert_false(answer[2] & (1 << 5 | 1 << 15)); /* VMX, PDCM */
    ask_cpuid(setup, 0x80000001);
    assert_true(answer[3] & 1 << 29); /* long mode */
    assert_false(answer[2] & 1 << 2); /* SVM */
    setup_destroy(setup);
}

static void cpuid_without_the_kernels_chips_has_no_apic(void **state)
{
    (void)state;
    struct setup *setup = setup_create(true, 1);
    ask_cpuid(setup, 1);
    assert_false(spot(setup)[3] & 1 << 9);
    setup_destroy(setup);
}

/* ---- trouble */

static void a_triple_fault_is_explained(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    char text[8192] = "";
    start(setup, KVM_PROTECTED, GUEST(triple));
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_SHUTDOWN);
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    machine_lock();
    engine_kvm.autopsy(setup->vcpu, out);
    machine_unlock();
    fclose(out);
    assert_non_null(strstr(text, "triple fault"));
    assert_non_null(strstr(text, "-accel soft")); /* AMD: the registers are gone, and that is said */

    /* And after a reset the machine runs again. */
    engine_kvm.reset(setup->vcpu);
    start(setup, KVM_PROTECTED, GUEST(protected));
    run_to_done(setup);
    setup_destroy(setup);
}

static void what_the_kernel_cannot_emulate_is_named(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(unemulatable));
    enum run_result result = engine_kvm.run(setup->vcpu);
    print_message("# %s\n", engine_kvm.failure(setup->vcpu));
    assert_int_equal(result, RUN_FAILED);
    assert_non_null(strstr(engine_kvm.failure(setup->vcpu), "fadd"));
    assert_non_null(strstr(engine_kvm.failure(setup->vcpu), "0008:00008005"));
    setup_destroy(setup);
}

/* CS with L and D both set, in long mode: AMD APM vol. 2, 15.5.1. */
static void a_refused_state_is_explained(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state bad;
    start(setup, KVM_LONG, GUEST(long));
    engine_kvm.get_state(setup->vcpu, &bad);
    bad.segment[SEG_CS].rights |= RIGHTS_DB;
    engine_kvm.set_state(setup->vcpu, &bad);
    enum run_result result = engine_kvm.run(setup->vcpu);
    print_message("# %d %s\n", result, engine_kvm.failure(setup->vcpu));
    assert_int_equal(result, RUN_FAILED);
    assert_non_null(strstr(engine_kvm.failure(setup->vcpu), "both L and D"));
    setup_destroy(setup);
}

/* A loaded machine may be too slow for the verdict's time limit; never three times in a row. */
static void the_verdict_is_usable(void **state)
{
    (void)state;
    struct kvm_verdict verdict = {0};
    for (unsigned i = 0; i < 3 && !verdict.usable; i++)
        kvm_judge(&verdict, true);
    print_message("# %s\n", verdict.reason);
    assert_true(verdict.usable);
    assert_non_null(strstr(verdict.reason, "kvm_amd"));
    for (unsigned mode = 0; mode < KVM_MODES; mode++)
        assert_true(verdict.mode[mode].ran);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict_is_usable),
        cmocka_unit_test(real_mode),
        cmocka_unit_test(protected_mode),
        cmocka_unit_test(paging_32),
        cmocka_unit_test(long_mode),
        cmocka_unit_test(ports_of_all_sizes_and_strings),
        cmocka_unit_test(a_port_sees_and_changes_registers),
        cmocka_unit_test(mmio_of_all_sizes),
        cmocka_unit_test(mmio_of_eight_bytes),
        cmocka_unit_test(writes_are_logged),
        cmocka_unit_test(memory_is_remapped_under_the_guest),
        cmocka_unit_test(slots_below_1_mib_come_and_go),
        cmocka_unit_test(kick_ends_a_loop),
        cmocka_unit_test(kick_ends_hlt),
        cmocka_unit_test(kick_ends_hlt_without_the_kernels_chips),
        cmocka_unit_test(a_kick_before_run_is_not_lost),
        cmocka_unit_test(a_kick_in_a_port_read_completes_it),
        cmocka_unit_test(reset_is_the_state_after_power_on),
        cmocka_unit_test(reset_starts_in_the_rom),
        cmocka_unit_test(state_goes_in_and_comes_out),
        cmocka_unit_test(cpuid_is_a_plain_pc),
        cmocka_unit_test(cpuid_without_the_kernels_chips_has_no_apic),
        cmocka_unit_test(a_triple_fault_is_explained),
        cmocka_unit_test(what_the_kernel_cannot_emulate_is_named),
        cmocka_unit_test(a_refused_state_is_explained),
    };
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    int failed = cmocka_run_group_tests_name("engine_kvm", tests, NULL, NULL);
    return failed + interrupts_run();
}
