/* selftest.c: calls memcpy, disp_str and myadd as they are meant to be called, and in the ways that break careless
 * ones: with a size of 0, with DF set, at the bottom of the screen */
#include "asm.h"
#include "console.h"
#include "lib.h"
#include "selftest.h"

#define FLAG_DIRECTION 0x400

PRIVATE int failures;

PRIVATE void check(int good, const char *what)
{
    kprintf("%s %s\n", good ? "ok    " : "not ok", what);
    failures += !good;
}

PRIVATE void test_memcpy(void)
{
    char from[8] = "abcdefg", to[8] = "-------";
    check(memcpy(to, from, 0) == to && to[0] == '-', "memcpy of 0 bytes copies nothing");
    memcpy(to, from, -1);
    check(to[0] == '-', "memcpy of -1 bytes copies nothing");
    check(memcpy(to, from, 3) == to && text_equal(to, "abc----"),
          "memcpy copies what it should, and answers dst");
    __asm__ volatile("std");
    memcpy(to, from, 8);
    __asm__ volatile("cld");
    check(text_equal(to, "abcdefg"), "memcpy copies upwards though DF is set");
}

/* Calls disp_str with known values in the registers that it must keep; answers whether it did. */
PRIVATE int disp_str_keeps_registers(char *text)
{
    u32 b, s, d;
    __asm__ volatile("pushl %%ebx; pushl %%ebp\n\t"
                     "movl $0x11111111, %%ebx; movl $0x22222222, %%esi; movl $0x33333333, %%edi\n\t"
                     "pushl %%eax; call disp_str; addl $4, %%esp\n\t"
                     "movl %%ebx, %%eax; popl %%ebp; popl %%ebx"
                     : "+a"(text), "=S"(s), "=D"(d)
                     :
                     : "ecx", "edx", "memory", "cc");
    b = (u32)text;
    return b == 0x11111111 && s == 0x22222222 && d == 0x33333333;
}

PRIVATE void test_disp_str(void)
{
    char nothing[] = "", row[] = "\n";
    u32 before = disp_pos;
    check(disp_str_keeps_registers(nothing) && disp_pos == before, "disp_str keeps EBX, ESI and EDI");
    console_lock();
    for (int i = 0; i < 300; i++)
        disp_str(row); /* past row 256, were there no limit at row 25 */
    check(disp_pos == 24 * 160, "disp_str scrolls at row 25");
    check(disp_str_keeps_registers(row) && disp_pos == 24 * 160, "disp_str keeps them when it scrolls, too");
    char mark[] = "\nX";
    __asm__ volatile("std");
    disp_str(mark);
    __asm__ volatile("cld");
    volatile u16 *cell = (volatile u16 *)0xB8000 + disp_pos / 2 - 1;
    int seen = *cell == (0x0F00 | 'X');
    disp_str(row);
    console_unlock();
    check(seen, "disp_str writes in bright white, upwards though DF is set");
}

PRIVATE void test_myadd(void)
{
    int sum = 7;
    check(myadd(40, 2, &sum) == 1 && sum == 42, "myadd adds");
    check(myadd(-5, 3, &sum) == 1 && sum == -2, "myadd adds negative numbers");
    check(myadd(0x7FFFFFFF, 1, &sum) == 0 && sum == -2,
          "myadd refuses an overflow and leaves the result alone");
    check(myadd(-0x7FFFFFFF - 1, -1, &sum) == 0 && sum == -2, "myadd refuses an overflow below zero");
}

PRIVATE void test_divide(void)
{
    u32 rest;
    check(divide_u64(0x123456789ABCDEFull, 1000, &rest) == 81985529216486ull && rest == 895,
          "64 bits are divided by 32");
}

PUBLIC void selftest_run(void)
{
    failures = 0;
    test_disp_str();
    test_memcpy();
    test_myadd();
    test_divide();
    kprintf("selftest: %s\n", failures ? "FAILED" : "all is well");
}
