/* symbols.c: names for addresses. The table is made by the build from the linked kernel itself (symbols.awk). */
#include "lib.h"
#include "memory.h"
#include "paging.h"
#include "panic.h"

struct symbol {
    u32 address;
    const char *name;
};

extern const struct symbol symbol_table[];
extern const u32 symbol_count;
extern u8 kernel_text_begin[], kernel_text_end[]; /* kernel.ld */

#define TRACE_DEPTH 12

PUBLIC const char *symbol_find(u32 address, u32 *offset)
{
    if (address < (u32)kernel_text_begin || address >= (u32)kernel_text_end)
        return NULL;
    const char *name = NULL;
    for (u32 i = 0; i < symbol_count && symbol_table[i].address <= address; i++) {
        name = symbol_table[i].name;
        *offset = address - symbol_table[i].address;
    }
    return name;
}

/* A return address is behind the CALL, which may be the last instruction of its function: look up the byte before. */
PRIVATE void trace_line(u32 address, int is_return)
{
    u32 offset;
    const char *name = symbol_find(address - is_return, &offset);
    if (name)
        kprintf("  %08X  %s+%X\n", address, name, offset + is_return);
    else
        kprintf("  %08X  (not in the kernel)\n", address);
}

/* Each function began with PUSH EBP; MOV EBP, ESP: so EBP leads to the caller's EBP, and above it lies the
 * address to which the function returns. The chain ends with 0. It may also be broken: read only what is mapped. */
PUBLIC void stack_trace(u32 eip, u32 ebp)
{
    kprintf("called from:\n");
    trace_line(eip, 0);
    for (int depth = 0; depth < TRACE_DEPTH && ebp; depth++) {
        if (ebp & 3 || !paging_mapped(ebp) || !paging_mapped(ebp + 7)) {
            kprintf("  (the chain is broken: EBP = %08X)\n", ebp);
            return;
        }
        u32 *link = (u32 *)ebp;
        trace_line(link[1], 1);
        if (link[0] && link[0] <= ebp)
            return; /* callers lie higher: this would go round */
        ebp = link[0];
    }
}
