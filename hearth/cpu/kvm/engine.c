/*
 * The engine that runs guests on the host kernel's KVM: one VM, one host thread a vCPU, and where the kernel has them
 * its own interrupt chips and 8254.
 *
 *   open.c  the device and the VM      slots.c    guest memory        cpuid.c    what the CPU says of itself
 *   run.c   in, out and each exit      state.c    registers, RESET    chips.c    PIC, IOAPIC, PIT, clocks
 *   judge.c whether it is of any use   explain.c  what went wrong     debug.c    a debugger's points
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"
#include "cpu/kvm/kvm.h"

static bool vm_create(struct engine *engine, char *error, size_t error_size)
{
    uint64_t identity_map = KVM_IDENTITY_MAP;

    engine->vm = kvm_vm_create(engine->kvm, error, error_size);
    if (engine->vm < 0)
        return false;
    if (!kvm_has(engine->kvm, KVM_CAP_IMMEDIATE_EXIT)) {
        snprintf(error, error_size, "this KVM is too old: a kernel of 4.12 or newer is needed");
        return false;
    }
#ifdef KVM_GUESTDBG_BLOCKIRQ
    engine->debug_block_irq = kvm_has(engine->kvm, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ;
#endif
    if (kvm_has(engine->kvm, KVM_CAP_SET_IDENTITY_MAP_ADDR) &&
        kvm_call(engine->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0) {
        snprintf(error, error_size, "KVM refuses its identity map: %s", strerror(errno));
        return false;
    }
    if (kvm_has(engine->kvm, KVM_CAP_SET_TSS_ADDR) &&
        kvm_call(engine->vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KVM_TSS) < 0) {
        snprintf(error, error_size, "KVM refuses its TSS: %s", strerror(errno));
        return false;
    }
    return true;
}

static bool set_cpuid(struct vcpu *vcpu)
{
    struct kvm_cpuid2 *cpuid = cpuid_for_vcpu(vcpu);
    bool taken = kvm_call(vcpu->descriptor, KVM_SET_CPUID2, cpuid) == 0;
    free(cpuid);
    return taken;
}

static bool vcpu_create(struct engine *engine, unsigned index)
{
    struct vcpu *vcpu = &engine->vcpus[index];
    uintptr_t apic_id = topology_apic_id(&engine->cpuid.topology, index);

    vcpu->engine = engine;
    vcpu->index = index;
    vcpu->descriptor = kvm_call(engine->vm, KVM_CREATE_VCPU, (void *)apic_id);
    if (vcpu->descriptor < 0)
        return false;
    vcpu->run = mmap(NULL, engine->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->descriptor, 0);
    if (vcpu->run == MAP_FAILED) {
        close(vcpu->descriptor);
        return false;
    }
    pthread_mutex_init(&vcpu->sleep_lock, NULL);
    pthread_cond_init(&vcpu->sleep, NULL);
    engine->vcpus_made = index + 1;
    if (!set_cpuid(vcpu))
        return false;
    power_on_note(vcpu);
    return true;
}

static bool vcpus_create(struct engine *engine, char *error, size_t error_size)
{
    int run_size = kvm_call(engine->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
    struct kvm_cpuid2 *supported = cpuid_read(engine->kvm, error, error_size);
    bool made = run_size > 0, chosen = supported && cpuid_choose(engine, supported, error, error_size);

    free(supported);
    if (!chosen)
        return false;
    engine->run_size = made ? (size_t)run_size : 0;
    engine->vcpus = allocate(engine->machine.cpus * sizeof(*engine->vcpus));
    for (unsigned i = 0; made && i < engine->machine.cpus; i++) {
        made = vcpu_create(engine, i);
        if (!made)
            snprintf(error, error_size, "KVM makes no CPU %u: %s", i, strerror(errno));
    }
    return made;
}

static void engine_destroy(struct engine *engine)
{
    slots_destroy(engine);
    for (unsigned i = 0; i < engine->vcpus_made; i++) {
        struct vcpu *vcpu = &engine->vcpus[i];
        munmap(vcpu->run, engine->run_size);
        close(vcpu->descriptor);
        pthread_mutex_destroy(&vcpu->sleep_lock);
        pthread_cond_destroy(&vcpu->sleep);
    }
    free(engine->vcpus);
    if (engine->vm >= 0)
        close(engine->vm);
    if (engine->kvm >= 0)
        close(engine->kvm);
    free(engine);
}

static struct engine *engine_create(const struct engine_machine *machine, char *error, size_t error_size)
{
    struct engine *engine = allocate(sizeof(*engine));

    engine->machine = *machine;
    engine->vm = -1;
    engine->kvm = kvm_open("/dev/kvm", error, error_size);
    if (engine->kvm >= 0 && vm_create(engine, error, error_size) && chips_create(engine, error, error_size) &&
        vcpus_create(engine, error, error_size) && slots_create(engine, error, error_size)) {
        vcpu_signal_prepare();
        return engine;
    }
    engine_destroy(engine);
    return NULL;
}

static const struct engine_abilities *engine_abilities(struct engine *engine)
{
    return &engine->abilities;
}

static struct vcpu *engine_vcpu(struct engine *engine, unsigned index)
{
    return &engine->vcpus[index];
}

static const char *vcpu_failure(struct vcpu *vcpu)
{
    return vcpu->failure;
}

const struct engine_ops engine_kvm = {
    .name = "kvm",
    .cpus_most = 255,
    .create = engine_create,
    .destroy = engine_destroy,
    .abilities = engine_abilities,
    .vcpu = engine_vcpu,
    .run = vcpu_run,
    .kick = vcpu_kick,
    .interrupt = vcpu_interrupt,
    .nmi = vcpu_nmi,
    .message = chips_message,
    .irqchip_set = chips_set,
    .irqchip_print = chips_print,
    .reset = vcpu_reset,
    .unplug = vcpu_unplug,
    .get_state = vcpu_get_state,
    .set_state = vcpu_set_state,
    .registers = access_registers,
    .time_stopped = time_stopped,
    .debug = vcpu_debug,
    .debug_hit = vcpu_debug_hit,
    .autopsy = vcpu_autopsy,
    .failure = vcpu_failure,
};
