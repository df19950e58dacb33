/* Interrupts and NMIs with and without the kernel's chips, those chips themselves, and a second CPU. */
#include "lab/engine_guest.h"

static void wait_for_note(struct setup *setup, unsigned count)
{
    while (__atomic_load_n(&setup->count, __ATOMIC_ACQUIRE) < count)
        usleep(500);
}

static void raise_intr(struct setup *setup)
{
    machine_lock();
    engine_kvm.interrupt(setup->vcpu, true);
    machine_unlock();
}

static void three_interrupts(const uint8_t *code, size_t size)
{
    struct setup *setup = setup_create(true, 1);
    setup->drop_on_acknowledge = true;
    start(setup, KVM_REAL, code, size);
    pthread_t thread = launch(thread_run_to_done, setup);
    wait_for_note(setup, 1);
    for (unsigned i = 1; i <= 3; i++) {
        raise_intr(setup);
        while (__atomic_load_n(spot(setup), __ATOMIC_ACQUIRE) < i)
            usleep(500);
    }
    assert_int_equal(join(thread), 0);
    assert_int_equal(setup->acknowledged, 3);
    assert_int_equal(*spot(setup), 3);
    setup_destroy(setup);
}

static void interrupts_reach_a_loop(void **state)
{
    (void)state;
    three_interrupts(GUEST(interrupts_looping));
}

static void interrupts_end_hlt(void **state)
{
    (void)state;
    three_interrupts(GUEST(interrupts_halting));
}

static void interrupts_get_through_a_short_window(void **state)
{
    (void)state;
    three_interrupts(GUEST(interrupts_glimpse));
}

static void interrupts_wait_for_sti(void **state)
{
    (void)state;
    struct setup *setup = setup_create(true, 1);
    setup->drop_on_acknowledge = true;
    setup->raise_on_note = true;
    start(setup, KVM_REAL, GUEST(interrupts_closed));
    assert_false(engine_kvm.abilities(setup->engine)->irqchip);
    while (setup->count < 2)
        engine_kvm.run(setup->vcpu), setup->raise_on_note = setup->count < 1,
                                     assert_false(setup->done && setup->count < 2);
    assert_note(setup, 1, 'w', 0, 4, 0);
    run_to_done(setup);
    assert_int_equal(setup->notes[2].value >= 1, 1);
    setup_destroy(setup);
}

/* INTR that falls again before the guest can take it is never acknowledged. */
static void an_interrupt_taken_back_is_none(void **state)
{
    (void)state;
    struct setup *setup = setup_create(true, 1);
    start(setup, KVM_REAL, GUEST(interrupts_closed));
    engine_kvm.interrupt(setup->vcpu, true);
    engine_kvm.interrupt(setup->vcpu, false);
    run_to_done(setup);
    assert_int_equal(setup->acknowledged, 0);
    assert_note(setup, 2, 'w', 0, 4, 0);
    setup_destroy(setup);
}

static void nmi_with(bool no_irqchip)
{
    struct setup *setup = setup_create(no_irqchip, 1);
    start(setup, KVM_REAL, GUEST(nmi));
    pthread_t thread = launch(thread_run_to_done, setup);
    wait_for_note(setup, 1);
    engine_kvm.nmi(setup->vcpu);
    wait_for_note(setup, 2);
    usleep(2000);
    engine_kvm.nmi(setup->vcpu);
    assert_int_equal(join(thread), 0);
    assert_int_equal(spot(setup)[1], 2);
    setup_destroy(setup);
}

static void nmi_interrupts_loop_and_hlt(void **state)
{
    (void)state;
    nmi_with(false);
}

static void nmi_without_the_kernels_chips(void **state)
{
    (void)state;
    nmi_with(true);
}

/* ---- the kernel's chips */

static void the_kernels_pic_takes_a_line(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    assert_true(engine_kvm.abilities(setup->engine)->irqchip);
    start(setup, KVM_REAL, GUEST(irqchip));
    pthread_t thread = launch(thread_run_to_done, setup);
    wait_for_note(setup, 1);
    for (unsigned i = 1; i <= 3; i++) {
        engine_kvm.irqchip_set(setup->engine, 5, true);
        engine_kvm.irqchip_set(setup->engine, 5, false);
        while (__atomic_load_n(spot(setup), __ATOMIC_ACQUIRE) < i)
            usleep(500);
    }
    assert_int_equal(join(thread), 0);
    assert_int_equal(setup->acknowledged, 0);

    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    engine_kvm.irqchip_print(setup->engine, out);
    fclose(out);
    assert_non_null(strstr(text, "pic0: irr=00 imr=df"));
    assert_non_null(strstr(text, "irq_base=18"));
    setup_destroy(setup);
}

static void the_kernels_pit_ticks(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    assert_true(engine_kvm.abilities(setup->engine)->pit);
    start(setup, KVM_REAL, GUEST(pit));
    run_to_done(setup);
    assert_in_range(*spot(setup), 3, 100);

    /* Reset: masked, and nothing ticks any more. */
    engine_kvm.reset(setup->vcpu);
    struct kvm_irqchip chip = {.chip_id = CHIP_MASTER};
    assert_int_equal(kvm_call(setup->engine->vm, KVM_GET_IRQCHIP, &chip), 0);
    assert_int_equal(chip.chip.pic.irq_base, 0);
    assert_int_equal(chip.chip.pic.imr, 0);
    setup_destroy(setup);
}

static void time_stands_and_goes_on(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_REAL, GUEST(pit));
    engine_kvm.time_stopped(setup->engine, true);
    engine_kvm.time_stopped(setup->engine, true);
    engine_kvm.time_stopped(setup->engine, false);
    run_to_done(setup);
    setup_destroy(setup);
}

/* ---- several CPUs */

struct second {
    struct setup *setup;
    bool stop;
};

static void *run_second(void *opaque)
{
    struct second *second = opaque;
    struct vcpu *vcpu = engine_kvm.vcpu(second->setup->engine, 1);
    while (!__atomic_load_n(&second->stop, __ATOMIC_ACQUIRE))
        if (engine_kvm.run(vcpu) != RUN_KICKED)
            return (void *)1;
    return NULL;
}

static void a_second_cpu_is_started_by_the_first(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 2);
    struct vcpu *vcpu = engine_kvm.vcpu(setup->engine, 1);
    struct second second = {setup, false};
    pthread_t thread;

    place(setup, SECOND, GUEST(second));
    start(setup, KVM_PROTECTED, GUEST(wakes_second));
    pthread_create(&thread, NULL, run_second, &second);
    usleep(5000);
    engine_kvm.kick(vcpu); /* while it waits to be started */
    run_to_done(setup);
    assert_int_equal(*spot(setup), 0x2222);
    __atomic_store_n(&second.stop, true, __ATOMIC_RELEASE);
    engine_kvm.kick(vcpu); /* while it is halted */
    assert_int_equal(join(thread), 0);

    /* After a reset it waits again. */
    struct kvm_mp_state activity;
    engine_kvm.reset(vcpu);
    assert_int_equal(kvm_call(vcpu->descriptor, KVM_GET_MP_STATE, &activity), 0);
    assert_int_equal(activity.mp_state, KVM_MP_STATE_UNINITIALIZED);
    setup_destroy(setup);
}

static void several_cpus_need_the_kernels_chips(void **state)
{
    (void)state;
    char error[256] = "";
    struct memory *memory = memory_create(RAM);
    struct engine_machine machine = {.memory = memory, .cpus = 2, .no_irqchip = true};
    assert_null(engine_kvm.create(&machine, error, sizeof(error)));
    assert_non_null(strstr(error, "several CPUs"));
    memory_destroy(memory);
}

int interrupts_run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupts_reach_a_loop),
        cmocka_unit_test(interrupts_end_hlt),
        cmocka_unit_test(interrupts_get_through_a_short_window),
        cmocka_unit_test(interrupts_wait_for_sti),
        cmocka_unit_test(an_interrupt_taken_back_is_none),
        cmocka_unit_test(nmi_interrupts_loop_and_hlt),
        cmocka_unit_test(nmi_without_the_kernels_chips),
        cmocka_unit_test(the_kernels_pic_takes_a_line),
        cmocka_unit_test(the_kernels_pit_ticks),
        cmocka_unit_test(time_stands_and_goes_on),
        cmocka_unit_test(a_second_cpu_is_started_by_the_first),
        cmocka_unit_test(several_cpus_need_the_kernels_chips),
    };
    return cmocka_run_group_tests_name("engine_kvm, interrupts", tests, NULL, NULL);
}
