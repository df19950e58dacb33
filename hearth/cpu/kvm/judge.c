/*
 * Does this KVM run guests? That /dev/kvm opens proves nothing: some back ends cannot run 32-bit paging, some emulate
 * every instruction, some hang. So a guest of a few bytes goes into each mode by itself and counts down a loop there,
 * and its speed is taken from the clock with the exit's cost subtracted.
 *
 * It runs in a process of its own. An alarm takes it out of a guest that does not end; if the kernel does not even
 * heed that, the process is left behind and hearth goes on.
 *
 * Sources: the kernel's Documentation/virt/kvm/api.rst; Intel SDM vol. 3A, 4.3 and 4.5 (page tables), 9.8.5 (into long
 * mode), 9.9.1 (into protected mode).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cpu/kvm/kvm.h"

enum {
    PATIENCE_MS = 300,     /* for everything */
    MODE_PATIENCE_MS = 60, /* for one mode */
    AT_LEISURE = 10,       /* times as long for a report, which nobody's guest waits for */
    FAREWELL_MS = 20,      /* for the process to be gone after its last word */

    USABLE_NS = 20, /* an instruction; hardware takes about 0.3, a kernel that emulates 400 */
    ROUGH_NS = 100, /* below this the loop is run longer, to be exact */
    ROUGH_LOOPS = 500,
    EXACT_LOOPS = 10000,
    LOOP_INSTRUCTIONS = 2,
    TRIES = 3,
};

/* The guest's memory. */
enum {
    GUEST_SIZE = 0x7000,
    CODE = 0x1000,      /* 256 bytes for each mode */
    DIRECTORY = 0x2000, /* 32-bit paging: one page of 4 MiB */
    PML4 = 0x3000,      /* long mode: one page of 2 MiB */
    PDPT = 0x4000,
    PAGE_DIRECTORY = 0x5000,
    GDT = 0x6000,

    ENTRY_PRESENT_WRITABLE = 3,
    ENTRY_LARGE = 1 << 7,

    SELECTOR_CODE32 = 0x08,
    SELECTOR_DATA = 0x10,
    COUNT_PORT = 0x5a, /* the guest asks here for how often to loop */
};

static const uint64_t gdt[] = {
    0, 0x00cf9b000000ffff, /* 08h: code, 32 bits, flat */
    0x00cf93000000ffff,    /* 10h: data, flat */
    0x00af9b000000ffff,    /* 18h: code, 64 bits */
};

/* Each ends with: again: in eax, COUNT_PORT; mov ecx, eax; next: dec ecx; jnz next; jmp again */
static const uint8_t code_real[] = {
    0x66, 0xe5, COUNT_PORT, 0x66, 0x89, 0xc1, 0x66, 0x49, 0x75, 0xfc, 0xeb, 0xf4,
};
static const uint8_t code_protected[] = {
    0x0f, 0x20,       0xc0, /* mov eax, cr0 */
    0x0c, 0x01,             /* or al, CR0.PE */
    0x0f, 0x22,       0xc0, /* mov cr0, eax */
    0x66, 0xea,       0x10, 0x11, 0x00, 0x00, SELECTOR_CODE32,
    0x00, /* jmp 08h:1110h, the next one */
    0xe5, COUNT_PORT, 0x89, 0xc1, 0x49, 0x75, 0xfd,
    0xeb, 0xf7,
};
static const uint8_t code_paged[] = {
    0x0f, 0x20,       0xc0,             /* mov eax, cr0 */
    0x0d, 0x00,       0x00, 0x00, 0x80, /* or eax, CR0.PG */
    0x0f, 0x22,       0xc0,             /* mov cr0, eax */
    0xe5, COUNT_PORT, 0x89, 0xc1, 0x49, 0x75, 0xfd, 0xeb, 0xf7,
};
static const uint8_t code_long[] = {
    0x0f, 0x20,       0xc0,                         /* mov eax, cr0 */
    0x0d, 0x00,       0x00, 0x00, 0x80,             /* or eax, CR0.PG */
    0x0f, 0x22,       0xc0,                         /* mov cr0, eax */
    0xea, 0x12,       0x13, 0x00, 0x00, 0x18, 0x00, /* jmp 18h:1312h, the next one */
    0xe5, COUNT_PORT, 0x89, 0xc1, 0xff, 0xc9, 0x75, 0xfc, 0xeb, 0xf6,
};

static const struct {
    const char *name;
    const uint8_t *code;
    size_t size;
    bool starts_protected;
    uint64_t cr3, cr4, efer;
} modes[KVM_MODES] = {
    [KVM_REAL] = {"real mode", code_real, sizeof(code_real), false, 0, 0, 0},
    [KVM_PROTECTED] = {"32-bit protected mode", code_protected, sizeof(code_protected), false, 0, 0, 0},
    [KVM_PAGED_32] = {"32-bit paging", code_paged, sizeof(code_paged), true, DIRECTORY, CR4_PSE, 0},
    [KVM_LONG] = {"long mode", code_long, sizeof(code_long), true, PML4, CR4_PAE, EFER_LME},
};

/* What both processes see. */
struct trial {
    struct kvm_verdict verdict;
    int mode; /* under way; -1 before the first */
    bool done;
};

struct guest {
    int vcpu;
    struct kvm_run *run;
    uint8_t *memory;
    uint64_t deadline;
    unsigned patience_ms; /* for one mode */
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- the guest */

static void guest_fill(uint8_t *memory)
{
    static const struct {
        uint32_t address;
        uint64_t entry;
    } tables[] = {
        {DIRECTORY, ENTRY_PRESENT_WRITABLE | ENTRY_LARGE},
        {PML4, PDPT | ENTRY_PRESENT_WRITABLE},
        {PDPT, PAGE_DIRECTORY | ENTRY_PRESENT_WRITABLE},
        {PAGE_DIRECTORY, ENTRY_PRESENT_WRITABLE | ENTRY_LARGE},
    };
    for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        memcpy(memory + tables[i].address, &tables[i].entry, sizeof(tables[i].entry));
    memcpy(memory + GDT, gdt, sizeof(gdt));
    for (unsigned mode = 0; mode < KVM_MODES; mode++)
        memcpy(memory + CODE + mode * 0x100, modes[mode].code, modes[mode].size);
}

static bool refused(const char *what, char *why, size_t size)
{
    snprintf(why, size, "KVM refuses %s: %s", what, strerror(errno));
    return false;
}

static bool guest_create(struct guest *guest, int kvm, char *why, size_t size)
{
    uint64_t identity_map = KVM_IDENTITY_MAP;
    int run_size = kvm_call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
    int vm = kvm_vm_create(kvm, why, size);

    if (vm < 0)
        return false;
    guest->memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guest->memory == MAP_FAILED)
        return refused("memory", why, size);
    guest_fill(guest->memory);

    struct kvm_userspace_memory_region region = {.memory_size = GUEST_SIZE,
                                                 .userspace_addr = (uintptr_t)guest->memory};
    kvm_call(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    kvm_call(vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KVM_TSS);
    if (kvm_call(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return refused("guest memory", why, size);
    guest->vcpu = kvm_call(vm, KVM_CREATE_VCPU, NULL);
    if (guest->vcpu < 0)
        return refused("a CPU", why, size);
    guest->run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
    return guest->run != MAP_FAILED || refused("a CPU's page", why, size);
}

static struct kvm_segment flat(uint16_t selector, unsigned type)
{
    return (struct kvm_segment){
        .limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .db = 1, .s = 1, .g = 1};
}

static bool guest_place(struct guest *guest, enum kvm_mode mode)
{
    struct kvm_regs regs = {.rip = CODE + mode * 0x100, .rflags = FLAG_1};
    struct kvm_sregs sregs;

    if (kvm_call(guest->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return false;
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    sregs.gdt = (struct kvm_dtable){.base = GDT, .limit = sizeof(gdt) - 1};
    sregs.cr0 = CR0_ET;
    if (modes[mode].starts_protected) {
        sregs.cr0 |= CR0_PE;
        sregs.cs = flat(SELECTOR_CODE32, RIGHTS_CODE | RIGHTS_WRITABLE | RIGHTS_ACCESSED);
        sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss =
            flat(SELECTOR_DATA, RIGHTS_WRITABLE | RIGHTS_ACCESSED);
    }
    sregs.cr3 = modes[mode].cr3;
    sregs.cr4 = modes[mode].cr4;
    sregs.efer = modes[mode].efer;
    return kvm_call(guest->vcpu, KVM_SET_SREGS, &sregs) == 0 &&
           kvm_call(guest->vcpu, KVM_SET_REGS, &regs) == 0;
}

/* ---- running it */

static void heed_alarm(int signal_number)
{
    (void)signal_number;
}

/* From now on KVM_RUN comes back with EINTR when the time is over, again and again. */
static void alarm_start(unsigned first_ms)
{
    struct sigaction action = {.sa_handler = heed_alarm};
    struct itimerval often = {.it_interval.tv_usec = 5000, .it_value.tv_usec = first_ms * 1000};
    sigset_t set;

    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static bool explain(const struct kvm_run *run, char *why, size_t size)
{
    switch (run->exit_reason) {
    case KVM_EXIT_SHUTDOWN: snprintf(why, size, "ends in a triple fault"); break;
    case KVM_EXIT_INTERNAL_ERROR:
        snprintf(why, size, "ends in KVM's internal error %u", run->internal.suberror);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(why, size, "is refused by the processor (reason %#llx)",
                 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
        break;
    default: snprintf(why, size, "ends in exit %u", run->exit_reason);
    }
    return false;
}

/* Runs until the guest asks for a count. */
static bool guest_run(struct guest *guest, char *why, size_t size)
{
    struct kvm_run *run = guest->run;

    while (ioctl(guest->vcpu, KVM_RUN, NULL) < 0) {
        if (errno != EINTR && errno != EAGAIN) {
            snprintf(why, size, "is refused: %s", strerror(errno));
            return false;
        }
        if (now_ns() > guest->deadline) {
            snprintf(why, size, "does not end within %u ms", guest->patience_ms);
            return false;
        }
    }
    if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN && run->io.port == COUNT_PORT)
        return true;
    return explain(run, why, size);
}

/* The shortest of some runs of the loop, in ns; 0 when one failed. */
static uint64_t time_loops(struct guest *guest, uint32_t loops, char *why, size_t size)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < TRIES; i++) {
        memcpy((uint8_t *)guest->run + guest->run->io.data_offset, &loops, sizeof(loops));
        uint64_t start = now_ns();
        if (!guest_run(guest, why, size))
            return 0;
        uint64_t taken = now_ns() - start;
        if (taken < best)
            best = taken;
    }
    return best ? best : 1;
}

/* Of an instruction; negative when the guest failed. */
static double time_instruction(struct guest *guest, uint32_t loops, char *why, size_t size)
{
    uint64_t empty = time_loops(guest, 1, why, size);
    uint64_t full = empty ? time_loops(guest, loops, why, size) : 0;
    if (!full)
        return -1;
    return full > empty ? (double)(full - empty) / ((loops - 1) * LOOP_INSTRUCTIONS) : 0;
}

/* Ends the port read that the guest is in, or the next mode's registers would get its result. */
static void guest_settle(struct guest *guest)
{
    guest->run->immediate_exit = 1;
    ioctl(guest->vcpu, KVM_RUN, NULL);
    guest->run->immediate_exit = 0;
}

static bool try_mode(struct guest *guest, enum kvm_mode mode, struct kvm_verdict *verdict)
{
    char *why = verdict->mode[mode].why;
    size_t size = sizeof(verdict->mode[mode].why);

    guest->deadline = now_ns() + guest->patience_ms * 1000000ull;
    alarm_start(guest->patience_ms);
    if (!guest_place(guest, mode)) {
        snprintf(why, size, "is refused: %s", strerror(errno));
        return false;
    }
    if (!guest_run(guest, why, size))
        return false;
    double nanoseconds = time_instruction(guest, ROUGH_LOOPS, why, size);
    if (nanoseconds >= 0 && nanoseconds < ROUGH_NS)
        nanoseconds = time_instruction(guest, EXACT_LOOPS, why, size);
    if (nanoseconds < 0)
        return false;
    guest_settle(guest);
    verdict->mode[mode].ran = true;
    verdict->mode[mode].nanoseconds = nanoseconds;
    return nanoseconds <= USABLE_NS;
}

static void try_all(struct trial *trial, int kvm, bool all)
{
    struct kvm_verdict *verdict = &trial->verdict;
    struct guest guest = {.patience_ms = MODE_PATIENCE_MS * (all ? AT_LEISURE : 1)};

    if (!guest_create(&guest, kvm, verdict->reason, sizeof(verdict->reason)))
        return;
    for (trial->mode = 0; trial->mode < KVM_MODES; trial->mode++)
        if (!try_mode(&guest, (enum kvm_mode)trial->mode, verdict) && !all)
            return;
}

/* ---- the verdict */

/* The first mode that did not come through, or KVM_MODES. */
static unsigned first_bad(const struct kvm_verdict *verdict)
{
    unsigned mode = 0;
    while (mode < KVM_MODES && verdict->mode[mode].ran && verdict->mode[mode].nanoseconds <= USABLE_NS)
        mode++;
    return mode;
}

static void conclude(struct kvm_verdict *verdict)
{
    char backend[32];
    unsigned bad = first_bad(verdict);
    double slowest = 0;

    kvm_backend("/sys/module", backend, sizeof(backend));
    if (bad < KVM_MODES && !verdict->mode[bad].ran) {
        snprintf(verdict->reason, sizeof(verdict->reason), "%s %s (%s)", modes[bad].name,
                 verdict->mode[bad].why, backend);
        return;
    }
    if (bad < KVM_MODES) {
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "%s takes %.0f ns an instruction: they are emulated one by one (%s)", modes[bad].name,
                 verdict->mode[bad].nanoseconds, backend);
        return;
    }
    for (unsigned mode = 0; mode < KVM_MODES; mode++)
        if (verdict->mode[mode].nanoseconds > slowest)
            slowest = verdict->mode[mode].nanoseconds;
    verdict->usable = true;
    snprintf(verdict->reason, sizeof(verdict->reason), "%s, %.2g ns an instruction", backend, slowest);
}

/* The trial did not tell that it was done. */
static void conclude_broken(struct trial *trial, bool hangs)
{
    int mode = trial->mode;
    snprintf(trial->verdict.reason, sizeof(trial->verdict.reason), "a test guest%s%s %s",
             mode < 0 || mode >= KVM_MODES ? "" : " in ",
             mode < 0 || mode >= KVM_MODES ? "" : modes[mode].name,
             hangs ? "hangs in the kernel" : "took its process with it");
}

static void farewell(pid_t child)
{
    for (unsigned i = 0; i < FAREWELL_MS; i++) {
        if (waitpid(child, NULL, WNOHANG) != 0)
            return;
        poll(NULL, 0, 1);
    }
}

/* Waits for the trial's process: its end of the pipe closes when it is done or dead. */
static void watch(struct trial *trial, pid_t child, int pipe_end, unsigned patience_ms)
{
    struct pollfd ends = {.fd = pipe_end, .events = POLLIN};
    uint64_t deadline = now_ns() + patience_ms * 1000000ull;
    int ready;

    do {
        uint64_t now = now_ns();
        ready = poll(&ends, 1, now < deadline ? (int)((deadline - now) / 1000000) + 1 : 0);
    } while (ready < 0 && errno == EINTR);

    bool done = __atomic_load_n(&trial->done, __ATOMIC_ACQUIRE);
    if (!done)
        kill(child, SIGKILL);
    farewell(child);
    if (!done)
        conclude_broken(trial, ready == 0);
    else if (!trial->verdict.reason[0])
        conclude(&trial->verdict);
}

static void run_trial(struct trial *trial, int kvm, bool all)
{
    int pipe_ends[2];
    pid_t child = -1;

    if (pipe(pipe_ends) == 0)
        child = fork();
    if (child < 0) {
        snprintf(trial->verdict.reason, sizeof(trial->verdict.reason), "no process for a test guest: %s",
                 strerror(errno));
        return;
    }
    if (child == 0) {
        try_all(trial, kvm, all);
        __atomic_store_n(&trial->done, true, __ATOMIC_RELEASE);
        close(pipe_ends[1]); /* told before the kernel takes the VM apart */
        _exit(0);
    }
    close(pipe_ends[1]);
    watch(trial, child, pipe_ends[0], PATIENCE_MS * (all ? AT_LEISURE : 1));
    close(pipe_ends[0]);
}

void kvm_judge_device(const char *path, struct kvm_verdict *verdict, bool all)
{
    memset(verdict, 0, sizeof(*verdict));
    int kvm = kvm_open(path, verdict->reason, sizeof(verdict->reason));
    if (kvm < 0)
        return;

    struct trial *trial =
        mmap(NULL, sizeof(*trial), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial == MAP_FAILED) {
        snprintf(verdict->reason, sizeof(verdict->reason), "no memory for a test guest: %s", strerror(errno));
    } else {
        trial->mode = -1;
        run_trial(trial, kvm, all);
        *verdict = trial->verdict;
        munmap(trial, sizeof(*trial));
    }
    close(kvm);
}

void kvm_judge(struct kvm_verdict *verdict, bool all)
{
    kvm_judge_device("/dev/kvm", verdict, all);
}
