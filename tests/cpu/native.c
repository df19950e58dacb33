/*
 * The native side: the host's own CPU runs the batch, as 32-bit code in compatibility mode.
 *
 * Linux gives every 64-bit process the 32-bit code segment 23h; a far return goes there and a far jump to 33h comes
 * back. Exceptions come as signals on an alternate stack, with vector, error code and CR2 in the context; the handler
 * notes them and goes on with the loop, as the guest's kernel does (harness.S).
 */
#include <asm/ldt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "batch.h"

#define TRAMPOLINE_BASE 0x6f000000 /* saved RSP, then the way back */
enum { TRAMPOLINE_BACK32 = 16, TRAMPOLINE_BACK64 = 32, PAGE = 4096 };

void native_enter(uint32_t eip);
extern const uint8_t native_return[];

__asm__(".intel_syntax noprefix\n"
        ".text\n"
        ".globl native_enter, native_return\n"
        "native_enter:\n"
        "push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"
        "mov qword ptr ds:[0x6f000000], rsp\n"
        "mov eax, 0x2b\n mov ds, eax\n mov es, eax\n"
        "push 0x23\n push rdi\n"
        ".byte 0x48, 0xcb\n" /* a far return of 64 bits, which assemblers name differently */
        "native_return:\n"
        "mov rsp, qword ptr ds:[0x6f000000]\n"
        "push 0x202\n" /* POPF may have left AC */
        "popfq\n"
        "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"
        "ret\n"
        ".att_syntax\n");

static void on_signal(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const int order[REGISTERS] = {REG_RDI, REG_RSI, REG_RBP, REG_RSP,
                                         REG_RBX, REG_RDX, REG_RCX, REG_RAX};
    struct outcome *save = (struct outcome *)(uintptr_t)(CONTROL_BASE + CONTROL_SAVE);

    (void)info;
    if ((registers[REG_CSGSFS] & 0xffff) == USER_CODE64) { /* a bug of the test program's */
        signal(number, SIG_DFL);
        return;
    }
    for (int i = 0; i < REGISTERS; i++)
        save->gpr[i] = registers[order[i]];
    save->flags = registers[REG_EFL];
    save->esp = registers[REG_RSP];
    save->vector = registers[REG_TRAPNO];
    save->eip = registers[REG_RIP];
    save->error = registers[REG_ERR];
    save->cr2 = registers[REG_CR2];
    registers[REG_RIP] = HARNESS_ADDRESS(harness_faulted);
    registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~(greg_t)0xffff) | USER_CODE;
    registers[REG_EFL] = 0x202;
}

static bool map(uint32_t base, uint32_t size)
{
    void *want = (void *)(uintptr_t)base;

    if (mmap(want, size, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == want)
        return true;
    printf("# cannot map %#x to %#x below 4 GiB in this process\n", base, base + size);
    return false;
}

static void signals_take(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    enum { STACK = 256 * 1024 };
    stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

static void trampoline_make(void)
{
    uint8_t *page = (uint8_t *)TRAMPOLINE_BASE;
    uint32_t back64 = TRAMPOLINE_BASE + TRAMPOLINE_BACK64;
    uint16_t selector = USER_CODE64;
    uint64_t target = (uintptr_t)native_return;

    page[TRAMPOLINE_BACK32] = 0xea; /* jmp 33h:back64 */
    memcpy(page + TRAMPOLINE_BACK32 + 1, &back64, sizeof back64);
    memcpy(page + TRAMPOLINE_BACK32 + 5, &selector, sizeof selector);
    memcpy(page + TRAMPOLINE_BACK64, "\x48\xb8", 2); /* mov rax, target */
    memcpy(page + TRAMPOLINE_BACK64 + 2, &target, sizeof target);
    memcpy(page + TRAMPOLINE_BACK64 + 10, "\xff\xe0", 2); /* jmp rax */
}

bool native_open(void)
{
    if (!map(HARNESS_BASE, CODE_BASE + CODE_SIZE - HARNESS_BASE) || !map(CONTROL_BASE, PAGE) ||
        !map(OPERANDS_BASE, OPERANDS_SIZE) || !map(STACK_BASE, STACK_SIZE) || !map(TRAMPOLINE_BASE, PAGE) ||
        !map(RECORDS_BASE, RECORDS_SIZE))
        return false;
    signals_take();
    trampoline_make();
    memcpy((void *)HARNESS_BASE, harness_start, harness_end - harness_start);
    return true;
}

void native_close(void)
{
    stack_t stack = {.ss_flags = SS_DISABLE}, old;

    sigaltstack(NULL, &old);
    sigaltstack(&stack, NULL);
    free(old.ss_sp);
}

bool native_has_code32(void)
{
    uint32_t rights;
    bool valid;

    __asm__("lar %2, %0" : "=r"(rights), "=@ccz"(valid) : "r"(USER_CODE));
    return valid;
}

bool native_has_code16(void)
{
    struct user_desc segment = {.entry_number = 0, .base_addr = CODE_BASE, .limit = 0xffff, .contents = 2};

    return syscall(SYS_modify_ldt, 1, &segment, sizeof segment) == 0;
}

void native_run(struct batch *batch)
{
    uint32_t *control = (uint32_t *)CONTROL_BASE;

    memcpy((void *)CODE_BASE, batch->code, batch->code_used);
    memcpy((void *)RECORDS_BASE, batch->records, batch->count * sizeof *batch->records);
    memset((void *)OPERANDS_BASE, 0, OPERANDS_SIZE);
    memset((void *)STACK_BASE, 0, STACK_SIZE);
    control[CONTROL_CURRENT / 4] = RECORDS_BASE;
    control[CONTROL_END / 4] = RECORDS_BASE + batch->count * RECORD_SIZE;
    control[CONTROL_X87 / 4] = batch->x87 + batch->sse;
    control[CONTROL_DONE / 4] = TRAMPOLINE_BASE + TRAMPOLINE_BACK32;
    native_enter(HARNESS_BASE);
    memcpy(batch->records, (void *)RECORDS_BASE, batch->count * sizeof *batch->records);
}
