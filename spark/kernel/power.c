/* power.c: switching off by ACPI's fixed hardware (ACPI specification, 4.8 and 16.1) and by what emulators have;
 * rebooting by the keyboard controller, port CF9h, and at last a triple fault */
#include "acpi.h"
#include "asm.h"
#include "const.h"
#include "interrupts.h"
#include "lib.h"
#include "power.h"
#include "timer.h"

#define PM1_PWRBTN         (1 << 8) /* in status and enable: the power button */
#define PM1_SCI_EN         0x0001   /* control: ACPI is on, events come as SCI */
#define PM1_SLP_TYPE_SHIFT 10
#define PM1_SLP_TYPE_MASK  0x1C00
#define PM1_SLP_EN         0x2000
#define ENABLE_TRIES       300
#define ENABLE_STEP_US     1000

/* PIIX4's ACPI function, which QEMU and Bochs have: its PM1 control is 4 above the base, S5 is type 0 there. */
#define PCI_ADDRESS       0xCF8
#define PCI_DATA          0xCFC
#define PCI_ENABLE        0x80000000u
#define PCI_DEVICES       32
#define PCI_FUNCTIONS     8
#define PIIX4_ACPI_ID     0x71138086u
#define PIIX4_PMBASE      0x40
#define PIIX4_PM1_CONTROL 4

#define QEMU_PM1_CONTROL  0x604
#define BOCHS_PM1_CONTROL 0xB004
#define BOCHS_SHUTDOWN    0x8900 /* takes the word `Shutdown`, letter by letter */
#define OFF_WAIT_US       100000

#define KEYBOARD_COMMAND     0x64
#define KEYBOARD_INPUT_FULL  0x02
#define KEYBOARD_PULSE_RESET 0xFE
#define RESET_CONTROL        0xCF9
#define RESET_SYSTEM         0x02
#define RESET_CPU            0x04

PRIVATE volatile int button_pressed;

PRIVATE u32 event_enable_port(u32 event)
{
    return event + acpi_power()->event_length / 2;
}

PRIVATE void sci_block(u32 event)
{
    if (!event)
        return;
    u16 status = in_u16(event);
    if (!(status & PM1_PWRBTN))
        return;
    out_u16(event, PM1_PWRBTN); /* writing a 1 clears it, or the line would stay up */
    button_pressed = 1;
}

PRIVATE void sci_interrupt(void)
{
    sci_block(acpi_power()->pm1a_event);
    sci_block(acpi_power()->pm1b_event);
}

PRIVATE int acpi_switch_on(const struct acpi_power *power)
{
    if (in_u16(power->pm1a_control) & PM1_SCI_EN)
        return 1;
    if (!power->smi_command || !power->enable_value)
        return 0;
    out_u8(power->smi_command, power->enable_value);
    for (int i = 0; i < ENABLE_TRIES; i++) {
        if (in_u16(power->pm1a_control) & PM1_SCI_EN)
            return 1;
        timer_delay(ENABLE_STEP_US);
    }
    return 0;
}

PRIVATE void button_listen(u32 event)
{
    if (!event)
        return;
    out_u16(event, PM1_PWRBTN);
    out_u16(event_enable_port(event), PM1_PWRBTN); /* and nothing else */
}

PUBLIC void power_init(void)
{
    const struct acpi_power *power = acpi_power();
    if (!power || !power->pm1a_control) {
        kprintf("ACPI: %s; no power button\n", acpi_present() ? "no FADT" : "no tables");
        return;
    }
    if (!acpi_switch_on(power)) {
        kprintf("ACPI: the firmware does not hand it over; no power button\n");
        return;
    }
    kprintf("ACPI: on, SCI is IRQ %u, %s, %s\n", power->sci_irq, power->has_s5 ? "S5 known" : "no \\_S5",
            power->has_button ? "power button" : "no fixed power button");
    if (!power->has_button || power->sci_irq >= IRQ_LINES || !power->event_length)
        return;
    interrupts_listen(power->sci_irq, sci_interrupt);
    button_listen(power->pm1a_event);
    button_listen(power->pm1b_event);
}

PUBLIC void power_button_check(void)
{
    if (!button_pressed)
        return;
    button_pressed = 0;
    kprintf("\nThe power button was pressed.\n");
    power_off();
}

PRIVATE void sleep(u32 control, u32 type)
{
    if (!control)
        return;
    u16 value = (in_u16(control) & ~(PM1_SLP_TYPE_MASK | PM1_SLP_EN)) | type << PM1_SLP_TYPE_SHIFT;
    out_u16(control, value);
    out_u16(control, value | PM1_SLP_EN);
}

PRIVATE u32 pci_read(u32 device, u32 function, u32 offset)
{
    out_u32(PCI_ADDRESS, PCI_ENABLE | device << 11 | function << 8 | offset);
    return in_u32(PCI_DATA);
}

PRIVATE u32 piix4_pm1_control(void)
{
    for (u32 device = 0; device < PCI_DEVICES; device++)
        for (u32 function = 0; function < PCI_FUNCTIONS; function++)
            if (pci_read(device, function, 0) == PIIX4_ACPI_ID)
                return (pci_read(device, function, PIIX4_PMBASE) & 0xFFC0) + PIIX4_PM1_CONTROL;
    return 0;
}

PUBLIC void power_off(void)
{
    const struct acpi_power *power = acpi_power();
    kprintf("Switching off.\n");
    interrupts_off();
    if (power && power->has_s5) {
        sleep(power->pm1a_control, power->s5_type_a);
        sleep(power->pm1b_control, power->s5_type_b);
        timer_delay(OFF_WAIT_US); /* it need not happen at once */
    }
    sleep(piix4_pm1_control(), 0);
    out_u16(QEMU_PM1_CONTROL, PM1_SLP_EN);
    out_u16(BOCHS_PM1_CONTROL, PM1_SLP_EN);
    for (const char *letter = "Shutdown"; *letter; letter++)
        out_u8(BOCHS_SHUTDOWN, *letter);
    timer_delay(OFF_WAIT_US);
    kprintf("This machine has no power switch that spark knows: switch it off by hand.\n");
    __asm__ volatile("sti");
}

PUBLIC void power_reboot(void)
{
    kprintf("Rebooting.\n");
    interrupts_off();
    for (int i = 0; i < ENABLE_TRIES && (in_u8(KEYBOARD_COMMAND) & KEYBOARD_INPUT_FULL); i++)
        timer_delay(ENABLE_STEP_US);
    out_u8(KEYBOARD_COMMAND, KEYBOARD_PULSE_RESET);
    timer_delay(OFF_WAIT_US);
    out_u8(RESET_CONTROL, RESET_SYSTEM);
    out_u8(RESET_CONTROL, RESET_SYSTEM | RESET_CPU);
    timer_delay(OFF_WAIT_US);
    static const u8 no_idt[6]; /* limit 0: no exception can be delivered, so the CPU shuts down */
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
    for (;;)
        __asm__ volatile("hlt");
}
