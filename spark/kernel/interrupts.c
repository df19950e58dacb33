/* interrupts.c: IDT and 8259A (Intel's manual, volume 3, chapter 6; datasheet: Intel 8259A) */
#include "asm.h"
#include "const.h"
#include "interrupts.h"
#include "lapic.h"
#include "panic.h"
#include "protect.h"

#define MASTER             0x20
#define MASTER_DATA        0x21
#define SLAVE              0xA0
#define SLAVE_DATA         0xA1
#define ICW1_CASCADED_ICW4 0x11
#define ICW4_8086          0x01
#define OCW2_EOI           0x20
#define OCW3_READ_ISR      0x0B
#define ISR_LINE_7         0x80

PUBLIC u8 idt_ptr[6];
PUBLIC GATE idt[IDT_SIZE];
extern u32 vector_table[IDT_SIZE];

PRIVATE void (*irq_handlers[IRQ_LINES])(void);
PRIVATE u32 counts[IDT_SIZE];

PUBLIC const char *exception_name(u32 vector)
{
    static const char *const names[] = {"#DE divide error",
                                        "#DB debug",
                                        "NMI",
                                        "#BP breakpoint",
                                        "#OF overflow",
                                        "#BR bound range exceeded",
                                        "#UD invalid opcode",
                                        "#NM no coprocessor",
                                        "#DF double fault",
                                        "coprocessor segment overrun",
                                        "#TS invalid TSS",
                                        "#NP segment not present",
                                        "#SS stack fault",
                                        "#GP general protection",
                                        "#PF page fault",
                                        "reserved (15)",
                                        "#MF floating point",
                                        "#AC alignment check",
                                        "#MC machine check",
                                        "#XM SIMD floating point",
                                        "#VE virtualization",
                                        "#CP control protection",
                                        "reserved (22)",
                                        "reserved (23)",
                                        "reserved (24)",
                                        "reserved (25)",
                                        "reserved (26)",
                                        "reserved (27)",
                                        "#HV hypervisor injection",
                                        "#VC VMM communication",
                                        "#SX security",
                                        "reserved (31)"};
    return vector < count_of(names) ? names[vector] : NULL;
}

PRIVATE void gate_set(u32 vector, u32 offset, u16 selector, u8 attr)
{
    GATE *gate = &idt[vector];
    gate->offset_low = offset;
    gate->selector = selector;
    gate->dcount = 0;
    gate->attr = attr;
    gate->offset_high = offset >> 16;
}

/* The two controllers come up at vectors 08h and 70h, the first of which are exceptions: move them to 20h. */
PRIVATE void pic_init(void)
{
    out_u8(MASTER, ICW1_CASCADED_ICW4);
    out_u8(SLAVE, ICW1_CASCADED_ICW4);
    out_u8(MASTER_DATA, VECTOR_IRQ0);
    out_u8(SLAVE_DATA, VECTOR_IRQ0 + 8);
    out_u8(MASTER_DATA, 1 << IRQ_CASCADE); /* a slave hangs on line 2 */
    out_u8(SLAVE_DATA, IRQ_CASCADE);       /* and knows that it does */
    out_u8(MASTER_DATA, ICW4_8086);
    out_u8(SLAVE_DATA, ICW4_8086);
    interrupts_mask_all();
}

PUBLIC void interrupts_mask_all(void)
{
    out_u8(MASTER_DATA, 0xFF);
    out_u8(SLAVE_DATA, 0xFF);
}

PUBLIC void interrupts_listen(u32 irq, void (*handler)(void))
{
    irq_handlers[irq] = handler;
    if (irq >= 8) {
        out_u8(SLAVE_DATA, in_u8(SLAVE_DATA) & ~(1 << (irq - 8)));
        irq = IRQ_CASCADE;
    }
    out_u8(MASTER_DATA, in_u8(MASTER_DATA) & ~(1 << irq));
}

PUBLIC void interrupts_init(void)
{
    for (u32 vector = 0; vector < IDT_SIZE; vector++)
        gate_set(vector, vector_table[vector], SELECTOR_KERNEL_CS, DA_386IGATE);
    gate_set(8, 0, SELECTOR_TSS_FAULT, DA_TASKGATE);
    u32 base = (u32)idt;
    *(u16 *)idt_ptr = sizeof idt - 1;
    *(u16 *)(idt_ptr + 2) = base;
    *(u16 *)(idt_ptr + 4) = base >> 16;
    interrupts_load();
    pic_init();
}

PUBLIC void interrupts_load(void)
{
    __asm__ volatile("lidt %0" : : "m"(idt_ptr));
}

PUBLIC u32 interrupts_count(u32 vector)
{
    return counts[vector];
}

/* Line 7 of a controller also comes when a request went away too early; then it is not in service. */
PRIVATE int pic_spurious(u32 irq)
{
    if (irq != 7 && irq != 15)
        return 0;
    u16 port = irq == 7 ? MASTER : SLAVE;
    out_u8(port, OCW3_READ_ISR);
    if (in_u8(port) & ISR_LINE_7)
        return 0;
    if (irq == 15)
        out_u8(MASTER, OCW2_EOI); /* the master did see its cascade line */
    return 1;
}

PRIVATE void irq_dispatch(u32 irq)
{
    if (pic_spurious(irq))
        return;
    if (irq_handlers[irq])
        irq_handlers[irq]();
    if (irq >= 8)
        out_u8(SLAVE, OCW2_EOI);
    out_u8(MASTER, OCW2_EOI);
}

/* Every interrupt comes here from vectors.asm. */
PUBLIC void interrupt_dispatch(struct frame *frame)
{
    counts[frame->vector]++;
    if (exception_name(frame->vector))
        panic_exception(frame);
    else if (frame->vector < VECTOR_IRQ0 + IRQ_LINES)
        irq_dispatch(frame->vector - VECTOR_IRQ0);
    else if (frame->vector == VECTOR_WAKE)
        lapic_end_of_interrupt();
    else if (frame->vector != VECTOR_SPURIOUS)
        panic_exception(frame); /* an INT instruction, or a device that nobody set up */
}
