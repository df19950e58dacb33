/* acpi.h: the tables that the firmware left, and the few registers that spark uses of what they describe */
#ifndef SPARK_ACPI_H
#define SPARK_ACPI_H

#include "type.h"

struct acpi_header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem_id[6], oem_table_id[8];
    u32 oem_revision, creator_id, creator_revision;
} __attribute__((packed));

/* The registers of fixed hardware; 0: not there */
struct acpi_power {
    u32 smi_command, pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    u8 event_length; /* of both event blocks: status, then enable, half each */
    u8 sci_irq;
    u8 enable_value; /* what to write to smi_command */
    int has_button;
    int has_s5;
    u8 s5_type_a, s5_type_b;
};

void acpi_init(void);
int acpi_present(void);
const struct acpi_header *acpi_table(const char *signature); /* NULL: there is none */
const struct acpi_power *acpi_power(void);                   /* NULL: no FADT */

#endif
