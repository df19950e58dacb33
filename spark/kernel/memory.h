/* memory.h: physical memory, page by page */
#ifndef SPARK_MEMORY_H
#define SPARK_MEMORY_H

#include "type.h"

struct memory_report {
    u32 total_kb, used_kb, free_kb; /* RAM below 4 GB */
    u32 high_mb;                    /* RAM above 4 GB: reported, neither mapped nor handed out */
    u32 end_low, end_high;          /* the end of the highest RAM below 4 GB */
};

void memory_init(void);
/* A page of RAM, cleared; its physical address, which is where it is mapped. 0: none is left. */
u32 page_allocate(void);
void page_free(u32 address);
void memory_report(struct memory_report *report);
const char *memory_type_name(u32 type);

#endif
