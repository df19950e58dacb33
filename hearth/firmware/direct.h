/*
 * Starting a kernel without firmware: -kernel, -initrd, -append. The file is looked at once and becomes a plan: what
 * goes where in guest memory, and how the CPU stands at the kernel's entry. The plan is carried out at each reset.
 */
#ifndef FIRMWARE_DIRECT_H
#define FIRMWARE_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"
#include "cpu/state.h"
#include "firmware/acpi.h"
#include "firmware/smbios.h"

struct direct_description {
    const char *kernel;
    const char *initrd; /* NULL: none; for multiboot "FILE ARGUMENTS,FILE ARGUMENTS" */
    const char *append; /* NULL: nothing */
    uint64_t ram_size;
    bool long_mode; /* the CPU has it */
    bool text_mode; /* the screen shows text mode 3 */
    struct acpi_description tables;
    struct smbios_description smbios;
};

struct direct;

/* NULL with one line in `error`. */
struct direct *direct_open(const struct direct_description *machine, char *error, size_t error_size);
void direct_close(struct direct *direct); /* NULL is harmless */
/* Fills guest memory, of which C0000h to FFFFFh is RAM already. False with one line in `error`. */
bool direct_load(struct direct *direct, struct memory *memory, char *error, size_t error_size);
/* Turns the state after RESET into the one at the kernel's entry. */
void direct_start(const struct direct *direct, struct cpu_state *state);

#endif
