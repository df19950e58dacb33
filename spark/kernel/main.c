/* main.c: kernel_main, called by csinit: everything there is, in the order in which it comes to life */
#include "acpi.h"
#include "asm.h"
#include "boot_info.h"
#include "console.h"
#include "cpu.h"
#include "interrupts.h"
#include "keyboard.h"
#include "lib.h"
#include "memory.h"
#include "paging.h"
#include "panic.h"
#include "power.h"
#include "protect.h"
#include "serial.h"
#include "shell.h"
#include "smp.h"
#include "timer.h"

PRIVATE int seen_a, seen_b;

/* C called from assembly, by myadd */
PUBLIC void myadd_seen(int a, int b)
{
    seen_a = a;
    seen_b = b;
}

PRIVATE void show_myadd(void)
{
    int sum = 0;
    int fits = myadd(2, 3, &sum);
    kprintf("myadd(2, 3) answers %d, the sum is %d; C was called with %d and %d. ", fits, sum, seen_a,
            seen_b);
    kprintf("myadd(7FFFFFFFh, 1) answers %d.\n", myadd(0x7FFFFFFF, 1, &sum));
}

PRIVATE void show_memory(void)
{
    struct memory_report report;
    memory_report(&report);
    kprintf("Memory: %u KB, %u KB of it free; %u records from INT 15h, %Xh\n", report.total_kb,
            report.free_kb, boot_info.map_count, boot_info.map_method);
    if (report.high_mb)
        kprintf("Memory above 4 GB: %u MB, not mapped\n", report.high_mb);
    if (boot_info.map_lost)
        kprintf("The loader had no room for %u records of the memory map\n", boot_info.map_lost);
}

PUBLIC void kernel_main(void)
{
    char hello[] = "\nspark kernel, its text at 30400h\n";
    disp_pos = boot_info.screen_position;
    console_init(boot_info.screen_position);
    kprintf("%s", hello);
    if (boot_magic != BOOT_MAGIC)
        panic("this was not started by spark's loader: there is no memory map");
    tss_init();
    interrupts_init();
    show_myadd();
    memory_init();
    paging_guard_stack();
    show_memory();

    timer_init();
    keyboard_init();
    interrupts_listen(IRQ_TIMER, timer_interrupt);
    interrupts_listen(IRQ_KEYBOARD, keyboard_interrupt);
    if (serial_present())
        interrupts_listen(IRQ_SERIAL, serial_interrupt);
    __asm__ volatile("sti");

    acpi_init();
    smp_init();
    power_init();
    shell_run();
}
