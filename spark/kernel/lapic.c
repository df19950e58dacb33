/* lapic.c: the local APIC in xAPIC mode (Intel's manual, volume 3, chapter 11). The 8259A stay in charge of devices:
 * their line enters the first CPU through LINT0. The APIC is here for what one CPU has to say to another. */
#include "asm.h"
#include "const.h"
#include "interrupts.h"
#include "lapic.h"
#include "paging.h"

#define ID        0x020
#define EOI       0x0B0
#define SVR       0x0F0
#define ICR_LOW   0x300
#define ICR_HIGH  0x310
#define LVT_LINT0 0x350
#define LVT_LINT1 0x360

#define SVR_ENABLE       0x100
#define LVT_MASKED       0x10000
#define DELIVERY_NMI     0x400
#define DELIVERY_INIT    0x500
#define DELIVERY_STARTUP 0x600
#define DELIVERY_EXTINT  0x700
#define ICR_ASSERT       0x4000
#define ICR_PENDING      0x1000
#define SEND_POLLS       1000000

PRIVATE volatile u8 *registers;

PRIVATE u32 lapic_read(u32 offset)
{
    return *(volatile u32 *)(registers + offset);
}

PRIVATE void lapic_write(u32 offset, u32 value)
{
    *(volatile u32 *)(registers + offset) = value;
}

PUBLIC int lapic_map(u32 address)
{
    if (!paging_map(address, PAGE_SIZE, PAGE_WRITABLE | PAGE_NO_CACHE))
        return 0;
    registers = (volatile u8 *)address;
    return 1;
}

PUBLIC void lapic_enable(int first_cpu)
{
    lapic_write(LVT_LINT0, first_cpu ? DELIVERY_EXTINT : LVT_MASKED);
    lapic_write(LVT_LINT1, first_cpu ? DELIVERY_NMI : LVT_MASKED);
    lapic_write(SVR, SVR_ENABLE | VECTOR_SPURIOUS);
}

PUBLIC u32 lapic_id(void)
{
    return lapic_read(ID) >> 24;
}

PUBLIC void lapic_end_of_interrupt(void)
{
    lapic_write(EOI, 0);
}

PRIVATE void send(u32 apic_id, u32 command)
{
    u32 flags = interrupts_off();
    lapic_write(ICR_HIGH, apic_id << 24);
    lapic_write(ICR_LOW, command);
    for (u32 i = 0; i < SEND_POLLS && (lapic_read(ICR_LOW) & ICR_PENDING); i++)
        cpu_pause();
    interrupts_restore(flags);
}

PUBLIC void lapic_send_init(u32 apic_id)
{
    send(apic_id, DELIVERY_INIT | ICR_ASSERT);
}

PUBLIC void lapic_send_startup(u32 apic_id, u32 page_address)
{
    send(apic_id, DELIVERY_STARTUP | ICR_ASSERT | page_address >> PAGE_SHIFT);
}

PUBLIC void lapic_send_interrupt(u32 apic_id, u32 vector)
{
    send(apic_id, ICR_ASSERT | vector);
}
