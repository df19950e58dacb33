/* commands.c: what can be typed at the prompt; the table is at the end */
#include "asm.h"
#include "boot_info.h"
#include "console.h"
#include "faults.h"
#include "interrupts.h"
#include "lib.h"
#include "memory.h"
#include "paging.h"
#include "panic.h"
#include "power.h"
#include "protect.h"
#include "selftest.h"
#include "shell.h"
#include "smp.h"
#include "timer.h"

#define UNUSED __attribute__((unused))

PRIVATE void command_help(int count UNUSED, char **words UNUSED)
{
    for (int i = 0; i < command_count; i++)
        kprintf("  %-8s %-8s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
}

PRIVATE void command_cpuinfo(int count UNUSED, char **words UNUSED)
{
    const struct cpu_identity *first = &smp_cpu(0)->identity;
    if (!first->has_cpuid) {
        kprintf("This CPU has no CPUID instruction: an 80386 or an early 80486.\n");
        return;
    }
    kprintf("vendor   %s\nbrand    %s\n", first->vendor, first->brand[0] ? first->brand : "(not told)");
    kprintf("family %u (%Xh), model %u (%Xh), stepping %u; leaves up to %X and %X\n", first->family,
            first->family, first->model, first->model, first->stepping, first->max_leaf, first->max_extended);
    cpu_print_features(first);
    kprintf("%u CPU%s, listed by %s; topology from %s\n", smp_count(), smp_count() > 1 ? "s" : "",
            smp_source(), first->topology_from ? first->topology_from : "nowhere");
    kprintf(" CPU  APIC id  package  core  thread\n");
    for (u32 i = 0; i < smp_count(); i++) {
        const struct cpu_identity *cpu = &smp_cpu(i)->identity;
        kprintf("%4u %8u %8u %5u %7u\n", i, cpu->apic_id, cpu->package, cpu->core, cpu->thread);
    }
}

PRIVATE void command_free(int count UNUSED, char **words UNUSED)
{
    struct memory_report report;
    memory_report(&report);
    kprintf("              total       used       free   (KB)\n");
    kprintf("below 4 GB %8u   %8u   %8u\n", report.total_kb, report.used_kb, report.free_kb);
    kprintf("above 4 GB %8u   not mapped, not used\n", report.high_mb * 1024);
    kprintf("RAM below 4 GB ends at %X%08Xh\n", report.end_high, report.end_low);
}

PRIVATE void command_dmesg(int count UNUSED, char **words UNUSED)
{
    console_log_show();
}

PRIVATE void command_e820(int count UNUSED, char **words UNUSED)
{
    kprintf("%u records from INT 15h, %Xh", boot_info.map_count, boot_info.map_method);
    if (boot_info.map_lost)
        kprintf("; %u more for which there was no room", boot_info.map_lost);
    kprintf("\nbase             length           type\n");
    for (u32 i = 0; i < boot_info.map_count; i++) {
        kprintf("%016llX %016llX %u %s%s\n", ards_base(&memory_map[i]), ards_length(&memory_map[i]),
                memory_map[i].type, memory_type_name(memory_map[i].type),
                memory_map_attributes[i] & ARDS_ENABLED ? "" : ", to be ignored (attribute bit 0 is clear)");
    }
}

PRIVATE const char *descriptor_kind(u8 attr1)
{
    static const char *const system[16] = {"?",
                                           "16-bit TSS",
                                           "LDT",
                                           "16-bit TSS, busy",
                                           "16-bit call gate",
                                           "task gate",
                                           "16-bit interrupt gate",
                                           "16-bit trap gate",
                                           "?",
                                           "32-bit TSS",
                                           "?",
                                           "32-bit TSS, busy",
                                           "32-bit call gate",
                                           "?",
                                           "32-bit interrupt gate",
                                           "32-bit trap gate"};
    if (!(attr1 & 0x10))
        return system[attr1 & 0x0F];
    if (attr1 & 0x08)
        return attr1 & 0x02 ? "code, readable" : "code";
    return attr1 & 0x02 ? "data, writable" : "data";
}

PRIVATE void command_gdt(int count UNUSED, char **words UNUSED)
{
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) now;
    __asm__ volatile("sgdt %0" : "=m"(now));
    kprintf("GDTR: base %08X, limit %04X: %u descriptors; those in use:\n", now.base, now.limit,
            (now.limit + 1) / 8);
    kprintf("selector  base     limit    DPL\n");
    for (u32 i = 0; i < (now.limit + 1u) / 8; i++) {
        const DESCRIPTOR *entry = (const DESCRIPTOR *)now.base + i;
        if (!(entry->attr1 & 0x80)) {
            if (!i)
                kprintf("%04X      the null descriptor\n", i);
            continue;
        }
        kprintf("%04X      %08X %08X %u    %s%s\n", i * 8, descriptor_base(entry), descriptor_limit(entry),
                entry->attr1 >> 5 & 3,
                entry->attr1 & 0x10 ? (entry->limit_high_attr2 & 0x40 ? "32-bit " : "16-bit ") : "",
                descriptor_kind(entry->attr1));
    }
}

PRIVATE void print_gate(u32 vector)
{
    const GATE *gate = &idt[vector];
    u32 offset = gate->offset_low | gate->offset_high << 16, distance = 0;
    const char *name = symbol_find(offset, &distance);
    kprintf("%02X  %04X:%08X %-22s %8u  %s\n", vector, gate->selector, offset,
            descriptor_kind(gate->attr & 0x1F), interrupts_count(vector),
            exception_name(vector) ? exception_name(vector)
            : name                 ? name
                                   : "");
}

PRIVATE void command_idt(int count UNUSED, char **words UNUSED)
{
    kprintf("IDTR: base %08X, limit %04X. Exceptions, interrupt lines, and what came:\n", (u32)idt,
            sizeof idt - 1);
    kprintf("    where          what                      times  name\n");
    for (u32 vector = 0; vector < VECTOR_IRQ0 + IRQ_LINES; vector++)
        print_gate(vector);
    print_gate(VECTOR_WAKE);
    print_gate(VECTOR_SPURIOUS);
}

PRIVATE void print_entry(const char *what, u32 index, u32 entry)
{
    kprintf("%s %4u: %08X  %s", what, index, entry, entry & PAGE_PRESENT ? "present" : "not present");
    if (entry & PAGE_PRESENT)
        kprintf(", %s, %s%s%s%s", entry & PAGE_WRITABLE ? "writable" : "read only",
                entry & PAGE_USER ? "user" : "kernel", entry & PAGE_NO_CACHE ? ", not cached" : "",
                entry & PAGE_ACCESSED ? ", accessed" : "", entry & PAGE_DIRTY ? ", dirty" : "");
    kprintf("\n");
}

PRIVATE void command_pages(int count, char **words)
{
    u32 address;
    if (count != 2 || !text_to_hex(words[1], &address)) {
        kprintf("pages ADDR: a linear address, in hexadecimal\n");
        return;
    }
    struct page_walk walk;
    paging_walk(address, &walk);
    kprintf("%08X = directory entry %u, table entry %u, offset %03X; CR3 = %08X\n", address,
            walk.directory_index, walk.table_index, address & 0xFFF, read_cr3());
    print_entry("directory", walk.directory_index, walk.directory_entry);
    if (walk.directory_entry & PAGE_PRESENT)
        print_entry("table    ", walk.table_index, walk.table_entry);
    if (walk.table_entry & PAGE_PRESENT)
        kprintf("physical address %08X\n", (walk.table_entry & PAGE_ADDRESS) | (address & 0xFFF));
    else
        kprintf("not mapped\n");
}

PRIVATE void print_bits(const char *name, u32 value, const char *names)
{
    kprintf("%s=%08X:", name, value);
    for (u32 bit = 0; bit < 32 && *names; bit++) {
        u32 length = 0;
        while (names[length] && names[length] != ' ')
            length++;
        if (value >> bit & 1 && *names != '-') {
            kprintf(" ");
            for (u32 i = 0; i < length; i++)
                kprintf("%c", names[i]);
        }
        names += names[length] ? length + 1 : length;
    }
    kprintf("\n");
}

PRIVATE void command_regs(int count UNUSED, char **words UNUSED)
{
    kprintf("CS=%04X DS=%04X ES=%04X FS=%04X GS=%04X SS=%04X ESP=%08X EBP=%08X\n", read_cs(), read_ds(),
            read_es(), read_fs(), read_gs(), read_ss(), read_esp(), read_ebp());
    print_bits("EFLAGS", read_eflags(), "CF - PF - AF - ZF SF TF IF DF OF - - NT - RF VM AC VIF VIP ID");
    print_bits("CR0", read_cr0(),
               "PE MP EM TS ET NE - - - - - - - - - - WP - AM - - - - - - - - - - NW CD PG");
    kprintf("CR2=%08X CR3=%08X\n", read_cr2(), read_cr3());
    if (smp_cpu(0)->identity.has_cpuid)
        print_bits("CR4", read_cr4(), "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT");
}

PRIVATE void command_uptime(int count UNUSED, char **words UNUSED)
{
    u32 ticks = timer_ticks(), seconds = ticks / TIMER_HZ;
    kprintf("up %u:%02u:%02u, %u timer interrupts\n", seconds / 3600, seconds / 60 % 60, seconds % 60, ticks);
}

PRIVATE void command_smp(int count UNUSED, char **words UNUSED)
{
    smp_count_primes();
}

PRIVATE void command_echo(int count, char **words)
{
    for (int i = 1; i < count; i++)
        kprintf("%s%s", words[i], i + 1 < count ? " " : "");
    kprintf("\n");
}

PRIVATE void command_clear(int count UNUSED, char **words UNUSED)
{
    console_clear();
}

PRIVATE void command_reboot(int count UNUSED, char **words UNUSED)
{
    power_reboot();
}

PRIVATE void command_poweroff(int count UNUSED, char **words UNUSED)
{
    power_off();
}

PRIVATE void command_fault(int count, char **words)
{
    if (count != 2 || !fault_cause(words[1]))
        fault_list();
}

PRIVATE void command_panic(int count UNUSED, char **words UNUSED)
{
    panic("you asked for it");
}

PRIVATE void command_selftest(int count UNUSED, char **words UNUSED)
{
    selftest_run();
}

PUBLIC const struct command commands[] = {
    {"help", "", "this list", command_help},
    {"cpuinfo", "", "what the CPUs say of themselves: model, features, package, core, thread",
     command_cpuinfo},
    {"free", "", "RAM: how much there is, in use, and free", command_free},
    {"dmesg", "", "what was said until the first prompt", command_dmesg},
    {"e820", "", "the memory map that the BIOS gave", command_e820},
    {"gdt", "", "the segment descriptors in use", command_gdt},
    {"idt", "", "the interrupt gates, and how often each was taken", command_idt},
    {"pages", "ADDR", "follows a linear address through the page tables", command_pages},
    {"regs", "", "segment and control registers, flags", command_regs},
    {"uptime", "", "how long spark has been running", command_uptime},
    {"smp", "", "all CPUs count primes together: the share of each", command_smp},
    {"fault", "NAME", "causes an exception: shows the panic screen; without a name: the list", command_fault},
    {"panic", "", "the panic screen without an exception", command_panic},
    {"selftest", "", "calls the functions in assembly as they are meant to be, and worse", command_selftest},
    {"echo", "WORDS", "prints its words", command_echo},
    {"clear", "", "clears the screen", command_clear},
    {"reboot", "", "starts the machine anew", command_reboot},
    {"poweroff", "", "switches the machine off", command_poweroff},
};
PUBLIC const int command_count = count_of(commands);
