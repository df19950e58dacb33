/* panic.c: what an exception looks like: which, why, where, every register, and how it came there */
#include "asm.h"
#include "console.h"
#include "lib.h"
#include "panic.h"
#include "paging.h"
#include "protect.h"
#include "smp.h"

#define WHITE_ON_RED 0x4F
#define CPL_MASK     3

/* Page fault error code */
#define PF_PRESENT  0x01
#define PF_WRITE    0x02
#define PF_USER     0x04
#define PF_RESERVED 0x08
#define PF_FETCH    0x10

/* Selector error code */
#define SEL_EXTERNAL 0x01
#define SEL_IDT      0x02
#define SEL_LDT      0x04

PRIVATE int has_error_code(u32 vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 ||
           vector == 30;
}

PRIVATE void print_page_fault(u32 error)
{
    u32 address = read_cr2();
    kprintf("%s %s of %08X by the %s%s%s\n", error & PF_PRESENT ? "protection:" : "not mapped:",
            error & PF_FETCH   ? "instruction fetch"
            : error & PF_WRITE ? "write"
                               : "read",
            address, error & PF_USER ? "user" : "kernel",
            error & PF_RESERVED ? ", reserved bit set in an entry" : "",
            stack_guard_hit(address) ? ": the kernel stack has overflowed" : "");
}

PRIVATE void print_selector_error(u32 error)
{
    if (!error) {
        kprintf("no selector is involved\n");
        return;
    }
    const char *table = error & SEL_IDT ? "IDT" : error & SEL_LDT ? "LDT" : "GDT";
    kprintf("because of %s entry %X%s\n", table, error >> 3,
            error & SEL_EXTERNAL ? ", from an external event" : "");
}

PRIVATE void print_error(const struct frame *frame)
{
    if (!has_error_code(frame->vector))
        return;
    kprintf("error code %08X%s", frame->error, frame->vector >= 15 ? "\n" : ": ");
    if (frame->vector == 14)
        print_page_fault(frame->error);
    else if (frame->vector >= 10 && frame->vector <= 13)
        print_selector_error(frame->error);
    else if (frame->vector == 8)
        kprintf("an exception came up while another was being delivered\n");
}

/* The CPU pushed no ESP, as it did not leave ring 0: the stack went on right above the frame. */
PRIVATE void print_registers(const struct frame *frame, u32 esp, u32 ss)
{
    kprintf("EAX=%08X EBX=%08X ECX=%08X EDX=%08X\n", frame->eax, frame->ebx, frame->ecx, frame->edx);
    kprintf("ESI=%08X EDI=%08X EBP=%08X ESP=%08X\n", frame->esi, frame->edi, frame->ebp, esp);
    kprintf("EIP=%08X EFLAGS=%08X CS=%04X SS=%04X DS=%04X ES=%04X FS=%04X GS=%04X\n", frame->eip,
            frame->eflags, frame->cs & 0xFFFF, ss, frame->ds & 0xFFFF, frame->es & 0xFFFF, frame->fs & 0xFFFF,
            frame->gs & 0xFFFF);
    kprintf("CR0=%08X CR2=%08X CR3=%08X\n", read_cr0(), read_cr2(), read_cr3());
}

PRIVATE void print_title(u32 vector)
{
    const char *name = exception_name(vector);
    kprintf("spark has stopped: ");
    if (name)
        kprintf("exception %u, %s, on CPU %u\n", vector, name, cpu_number());
    else
        kprintf("interrupt %u, which nobody expects, on CPU %u\n", vector, cpu_number());
}

PRIVATE void panic_begin(void)
{
    interrupts_off();
    console_break_lock();
    console_clear();
}

PRIVATE void __attribute__((noreturn)) panic_end(void)
{
    kprintf("Switch off or reset the machine.\n");
    console_color(WHITE_ON_RED);
    for (;;)
        __asm__ volatile("cli; hlt");
}

PUBLIC void panic_exception(struct frame *frame)
{
    panic_begin();
    print_title(frame->vector);
    print_error(frame);
    print_registers(frame, (u32)(frame + 1), read_ss());
    stack_trace(frame->eip, frame->ebp);
    panic_end();
}

/* Called by the task that vector 8 switches to; what ran is in the other TSS. */
PUBLIC void double_fault(void)
{
    TSS *task = tss_faulting();
    struct frame frame = {
        .gs = task->gs,
        .fs = task->fs,
        .es = task->es,
        .ds = task->ds,
        .edi = task->edi,
        .esi = task->esi,
        .ebp = task->ebp,
        .ebx = task->ebx,
        .edx = task->edx,
        .ecx = task->ecx,
        .eax = task->eax,
        .vector = 8,
        .eip = task->eip,
        .cs = task->cs,
        .eflags = task->eflags,
    };
    panic_begin();
    print_title(frame.vector);
    print_error(&frame);
    if (stack_guard_hit(task->esp - 1))
        kprintf("the kernel stack has overflowed\n");
    print_registers(&frame, task->esp, task->ss);
    stack_trace(frame.eip, frame.ebp);
    panic_end();
}

PUBLIC void panic(const char *reason)
{
    panic_begin();
    kprintf("spark has stopped: %s\n", reason);
    u32 *frame = (u32 *)read_ebp(); /* the caller's EBP, and where to return to */
    stack_trace(frame[1] - 1, frame[0]);
    panic_end();
}
