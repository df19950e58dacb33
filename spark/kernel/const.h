/* const.h: words and numbers that everything uses */
#ifndef SPARK_CONST_H
#define SPARK_CONST_H

#define PUBLIC
#define PRIVATE static

#define GDT_SIZE 128 /* descriptors */
#define IDT_SIZE 256 /* gates: one for each interrupt vector there can be */

#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12
#define KB         1024u

#define NULL            ((void *)0)
#define count_of(array) (sizeof(array) / sizeof((array)[0]))

#endif
