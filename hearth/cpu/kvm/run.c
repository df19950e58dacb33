/*
 * Running a vCPU: into the guest, out again, and what each exit asks for.
 *
 * How others get at a vCPU that is in the guest: they note what they want, set immediate_exit in the page shared with
 * the kernel and send its thread a signal that does nothing. The flag covers the moment before KVM_RUN, the signal
 * all later ones. After a port or MMIO exit the instruction is complete only when KVM_RUN is entered again, so a kick
 * is answered when KVM_RUN has come back with EINTR, never straight from a handler.
 *
 * Without the kernel's interrupt chips HLT is waited for here, and the vector comes from the machine's 8259As when the
 * guest is ready to take it.
 *
 * Left out: coalesced MMIO, ioeventfd.
 * Source: the kernel's Documentation/virt/kvm/api.rst, section 5 (the kvm_run structure), KVM_INTERRUPT, KVM_NMI.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/lock.h"
#include "cpu/kvm/kvm.h"

/* The signal that takes a thread out of KVM_RUN: a real-time one, which nobody sends by habit. */
#define WAKE_SIGNAL SIGRTMIN

static void do_nothing(int signal_number)
{
    (void)signal_number;
}

static void wake_signal_mask(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WAKE_SIGNAL);
    pthread_sigmask(how, &set, NULL);
}

/* Blocked in this thread and those it starts from now on; vcpu_run() lets it in. */
void vcpu_signal_prepare(void)
{
    struct sigaction action = {.sa_handler = do_nothing};
    sigemptyset(&action.sa_mask);
    sigaction(WAKE_SIGNAL, &action, NULL);
    wake_signal_mask(SIG_BLOCK);
}

/* ---- from other threads */

void vcpu_wake(struct vcpu *vcpu)
{
    pid_t self = gettid(), thread = atomic_load(&vcpu->thread);
    if (thread == self)
        return; /* in a handler of its own exit: it looks around before it enters again */

    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    thread = atomic_load(&vcpu->thread);
    if (thread)
        tgkill(getpid(), thread, WAKE_SIGNAL);
    pthread_mutex_lock(&vcpu->sleep_lock);
    pthread_cond_signal(&vcpu->sleep);
    pthread_mutex_unlock(&vcpu->sleep_lock);
}

void vcpu_kick(struct vcpu *vcpu)
{
    atomic_store(&vcpu->kicked, true);
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    vcpu_wake(vcpu);
}

void vcpu_interrupt(struct vcpu *vcpu, bool level)
{
    bool was = atomic_exchange(&vcpu->interrupt, level);
    if (level && !was)
        vcpu_wake(vcpu);
}

void vcpu_nmi(struct vcpu *vcpu)
{
    atomic_store(&vcpu->nmi, true);
    vcpu_wake(vcpu);
}

/* ---- before the guest */

static bool fail(struct vcpu *vcpu, const char *what, int error)
{
    explain_error(vcpu, what, error);
    vcpu->result = RUN_FAILED;
    return false;
}

static bool stop(struct vcpu *vcpu, enum run_result result)
{
    vcpu->result = result;
    return false;
}

static bool wakes(struct vcpu *vcpu)
{
    return atomic_load(&vcpu->kicked) || atomic_load(&vcpu->nmi) ||
           (atomic_load(&vcpu->interrupt) && vcpu->run->if_flag);
}

/* HLT without the kernel's APIC. Answers false for a kick, which leaves the CPU halted. */
static bool sleep_halted(struct vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->sleep_lock);
    while (!wakes(vcpu))
        pthread_cond_wait(&vcpu->sleep, &vcpu->sleep_lock);
    pthread_mutex_unlock(&vcpu->sleep_lock);
    if (atomic_exchange(&vcpu->kicked, false))
        return stop(vcpu, RUN_KICKED);
    vcpu->halted = false;
    return true;
}

/* Hands the 8259A's vector over, if INTR still is high when the lock is held. */
static bool acknowledge(struct vcpu *vcpu)
{
    const struct engine_machine *machine = &vcpu->engine->machine;
    struct kvm_interrupt interrupt;

    machine_lock();
    bool high = atomic_load(&vcpu->interrupt);
    if (high)
        interrupt.irq = machine->acknowledge(machine->opaque);
    machine_unlock();
    if (!high)
        return true;
    vcpu->run->ready_for_interrupt_injection = 0;
    if (kvm_call(vcpu->descriptor, KVM_INTERRUPT, &interrupt) < 0)
        return fail(vcpu, "KVM_INTERRUPT", errno);
    return true;
}

static bool inject(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;

    if (atomic_exchange(&vcpu->nmi, false) && kvm_call(vcpu->descriptor, KVM_NMI, NULL) < 0)
        return fail(vcpu, "KVM_NMI", errno);
    if (vcpu->engine->abilities.irqchip)
        return true;
    if (atomic_load(&vcpu->interrupt) && run->ready_for_interrupt_injection && !acknowledge(vcpu))
        return false;
    run->request_interrupt_window = atomic_load(&vcpu->interrupt);
    return true;
}

/* ---- exits: each handler says whether to go on */

static bool exit_io(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    struct bus *ports = vcpu->engine->machine.ports;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        uint64_t value = 0;
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, run->io.size);
            bus_write(ports, run->io.port, run->io.size, value);
        } else {
            value = bus_read(ports, run->io.port, run->io.size);
            memcpy(data, &value, run->io.size);
        }
    }
    return true;
}

/* An access over a page boundary comes in two exits of any length, so what is no power of two is taken apart. */
static unsigned piece(unsigned length)
{
    return length >= 8 ? 8 : length >= 4 ? 4 : length >= 2 ? 2 : 1;
}

static bool exit_mmio(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    struct bus *mmio = vcpu->engine->machine.mmio;
    unsigned length = run->mmio.len > sizeof(run->mmio.data) ? sizeof(run->mmio.data) : run->mmio.len;

    for (unsigned at = 0, size; at < length; at += size) {
        uint64_t value = 0;
        size = piece(length - at);
        if (run->mmio.is_write) {
            memcpy(&value, &run->mmio.data[at], size);
            bus_write(mmio, run->mmio.phys_addr + at, size, value);
        } else {
            value = bus_read(mmio, run->mmio.phys_addr + at, size);
            memcpy(&run->mmio.data[at], &value, size);
        }
    }
    return true;
}

static bool exit_system_event(struct vcpu *vcpu)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
    case KVM_SYSTEM_EVENT_RESET: return stop(vcpu, RUN_SHUTDOWN);
    default: explain_exit(vcpu); return stop(vcpu, RUN_FAILED);
    }
}

static bool exit_handle(struct vcpu *vcpu)
{
    switch (vcpu->run->exit_reason) {
    case KVM_EXIT_IO: return exit_io(vcpu);
    case KVM_EXIT_MMIO: return exit_mmio(vcpu);
    case KVM_EXIT_HLT: vcpu->halted = true; return true;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
    case KVM_EXIT_INTR: return true;
    case KVM_EXIT_SHUTDOWN: return stop(vcpu, RUN_SHUTDOWN);
    case KVM_EXIT_DEBUG: vcpu->result = RUN_DEBUG; return vcpu_debug_exit(vcpu);
    case KVM_EXIT_SYSTEM_EVENT: return exit_system_event(vcpu);
    case KVM_EXIT_FAIL_ENTRY:
    case KVM_EXIT_INTERNAL_ERROR:
    default: explain_exit(vcpu); return stop(vcpu, RUN_FAILED);
    }
}

/* KVM_RUN came back without having run. The flag goes down before the wishes are looked at: a wish noted later finds
 * it down and raises it again. */
static bool run_interrupted(struct vcpu *vcpu, int error)
{
    if (error == EAGAIN)
        return true; /* a CPU that waits for its start-up message has been stirred */
    if (error != EINTR)
        return fail(vcpu, "KVM_RUN", error);
    __atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    return atomic_exchange(&vcpu->kicked, false) ? stop(vcpu, RUN_KICKED) : true;
}

static bool run_once(struct vcpu *vcpu)
{
    if (vcpu->halted && !sleep_halted(vcpu))
        return false;
    int error = slots_update(vcpu->engine);
    if (error)
        return fail(vcpu, "giving the memory map to KVM", error);
    if (!inject(vcpu))
        return false;
    if (ioctl(vcpu->descriptor, KVM_RUN, NULL) < 0)
        return run_interrupted(vcpu, errno);
    return exit_handle(vcpu);
}

enum run_result vcpu_run(struct vcpu *vcpu)
{
    atomic_store(&vcpu->thread, gettid());
    wake_signal_mask(SIG_UNBLOCK);
    while (run_once(vcpu)) {
    }
    wake_signal_mask(SIG_BLOCK);
    atomic_store(&vcpu->thread, 0);
    return vcpu->result;
}
