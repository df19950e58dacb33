/*
 * The integer instructions of the Pentium Pro that a program at CPL 3 can run, and the privileged ones that it cannot.
 *
 * Not here, because the host would do something else than fault or compute: CPUID, RDTSC, RDPMC (other values), SGDT,
 * SIDT, SLDT, STR, SMSW (the host's own tables), INT1 (hypervisors get its EIP wrong), SYSENTER, SYSCALL, INT 80h (Linux), far transfers but those of
 * code16.c, loads of FS and GS (Linux keeps its thread pointer there).
 *
 * Source: Intel SDM volume 2.
 */
#include "form.h"

/* clang-format off */
#define ALU_ROWS(name, a, b, c, d, e, f, digit) \
    {name " r/m8,r8", a " /r", BYTE, EXACT, PLAIN}, \
    {name " r/m,r", b " /r", ANY, EXACT, PLAIN}, \
    {name " r8,r/m8", c " /r", BYTE, EXACT, PLAIN}, \
    {name " r,r/m", d " /r", ANY, EXACT, PLAIN}, \
    {name " al,imm8", e " ib", BYTE, EXACT, PLAIN}, \
    {name " eax,imm", f " iz", ANY, EXACT, PLAIN}, \
    {name " r/m8,imm8", "80 /" digit " ib", BYTE, EXACT, PLAIN}, \
    {name " r/m8,imm8 (82)", "82 /" digit " ib", BYTE, EXACT, PLAIN}, \
    {name " r/m,imm", "81 /" digit " iz", ANY, EXACT, PLAIN}, \
    {name " r/m,imm8", "83 /" digit " ib", ANY, EXACT, PLAIN}

#define SHIFT_ROWS(name, digit, rule) \
    {name " r/m8,1", "d0 /" digit, BYTE, rule, PLAIN}, \
    {name " r/m,1", "d1 /" digit, ANY, rule, PLAIN}, \
    {name " r/m8,cl", "d2 /" digit, BYTE, rule, PLAIN}, \
    {name " r/m,cl", "d3 /" digit, ANY, rule, PLAIN}, \
    {name " r/m8,imm8", "c0 /" digit " ib", BYTE, rule, PLAIN}, \
    {name " r/m,imm8", "c1 /" digit " ib", ANY, rule, PLAIN}

#define BIT_ROWS(name, byte, digit) \
    {name " r/m,r", "0f " byte " /r", ANY, BIT_TEST, BIT_OFFSET}, \
    {name " r/m,imm8", "0f ba /" digit " ib", ANY, BIT_TEST, PLAIN}

#define STRING_ROWS(name, byte, wide) \
    {name "b", byte, BYTE, EXACT, STRING}, \
    {name, wide, ANY, EXACT, STRING}, \
    {"rep " name "b", "f3 " byte, BYTE, EXACT, STRING}, \
    {"rep " name, "f3 " wide, ANY, EXACT, STRING}, \
    {"repne " name "b", "f2 " byte, BYTE, EXACT, STRING}, \
    {"repne " name, "f2 " wide, ANY, EXACT, STRING}, \
    {"rep " name "b (67)", "67 f3 " byte, BYTE, EXACT, STRING}, \
    {"rep " name " (67)", "67 f3 " wide, ANY, EXACT, STRING}

const struct form forms[] = {
    ALU_ROWS("add", "00", "01", "02", "03", "04", "05", "0"),
    ALU_ROWS("or",  "08", "09", "0a", "0b", "0c", "0d", "1"),
    ALU_ROWS("adc", "10", "11", "12", "13", "14", "15", "2"),
    ALU_ROWS("sbb", "18", "19", "1a", "1b", "1c", "1d", "3"),
    ALU_ROWS("and", "20", "21", "22", "23", "24", "25", "4"),
    ALU_ROWS("sub", "28", "29", "2a", "2b", "2c", "2d", "5"),
    ALU_ROWS("xor", "30", "31", "32", "33", "34", "35", "6"),
    ALU_ROWS("cmp", "38", "39", "3a", "3b", "3c", "3d", "7"),

    {"lock add r/m,r", "f0 01 /rm", ANY, EXACT, PLAIN},
    {"lock adc r/m8,r8", "f0 10 /rm", BYTE, EXACT, PLAIN},
    {"lock sub r/m,imm8", "f0 83 /5m ib", ANY, EXACT, PLAIN},
    {"lock not r/m", "f0 f7 /2m", ANY, EXACT, PLAIN},
    {"lock inc r/m", "f0 ff /0m", ANY, EXACT, PLAIN},
    {"lock xadd r/m,r", "f0 0f c1 /rm", ANY, EXACT, PLAIN},
    {"lock cmpxchg r/m,r", "f0 0f b1 /rm", ANY, EXACT, EQUAL},
    {"lock bts r/m,r", "f0 0f ab /rm", ANY, BIT_TEST, BIT_OFFSET},
    {"lock xchg r/m,r", "f0 87 /rm", ANY, EXACT, PLAIN},
    {"lock cmpxchg8b", "f0 0f c7 /1m", DWORD, EXACT, EQUAL},
    {"lock add r,r (#UD)", "f0 01 /rr", ANY, EXACT, PLAIN},
    {"lock cmp r/m,r (#UD)", "f0 39 /r", ANY, EXACT, PLAIN},
    {"lock mov r/m,r (#UD)", "f0 89 /r", ANY, EXACT, PLAIN},

    {"test r/m8,r8", "84 /r", BYTE, EXACT, PLAIN},
    {"test r/m,r", "85 /r", ANY, EXACT, PLAIN},
    {"test al,imm8", "a8 ib", BYTE, EXACT, PLAIN},
    {"test eax,imm", "a9 iz", ANY, EXACT, PLAIN},
    {"test r/m8,imm8", "f6 /0 ib", BYTE, EXACT, PLAIN},
    {"test r/m8,imm8 (/1)", "f6 /1 ib", BYTE, EXACT, PLAIN},
    {"test r/m,imm", "f7 /0 iz", ANY, EXACT, PLAIN},
    {"test r/m,imm (/1)", "f7 /1 iz", ANY, EXACT, PLAIN},
    {"not r/m8", "f6 /2", BYTE, EXACT, PLAIN},
    {"not r/m", "f7 /2", ANY, EXACT, PLAIN},
    {"neg r/m8", "f6 /3", BYTE, EXACT, PLAIN},
    {"neg r/m", "f7 /3", ANY, EXACT, PLAIN},
    {"inc r", "40 +r", ANY, EXACT, PLAIN},
    {"dec r", "48 +r", ANY, EXACT, PLAIN},
    {"inc r/m8", "fe /0", BYTE, EXACT, PLAIN},
    {"inc r/m", "ff /0", ANY, EXACT, PLAIN},
    {"dec r/m8", "fe /1", BYTE, EXACT, PLAIN},
    {"dec r/m", "ff /1", ANY, EXACT, PLAIN},

    {"mul r/m8", "f6 /4", BYTE, MULTIPLY, PLAIN},
    {"mul r/m", "f7 /4", ANY, MULTIPLY, PLAIN},
    {"imul r/m8", "f6 /5", BYTE, MULTIPLY, PLAIN},
    {"imul r/m", "f7 /5", ANY, MULTIPLY, PLAIN},
    {"imul r,r/m", "0f af /r", ANY, MULTIPLY, PLAIN},
    {"imul r,r/m,imm", "69 /r iz", ANY, MULTIPLY, PLAIN},
    {"imul r,r/m,imm8", "6b /r ib", ANY, MULTIPLY, PLAIN},
    {"div r/m8", "f6 /6", BYTE, DIVIDE, QUOTIENT},
    {"div r/m", "f7 /6", ANY, DIVIDE, QUOTIENT},
    {"idiv r/m8", "f6 /7", BYTE, DIVIDE, QUOTIENT},
    {"idiv r/m", "f7 /7", ANY, DIVIDE, QUOTIENT},

    SHIFT_ROWS("rol", "0", ROTATE), SHIFT_ROWS("ror", "1", ROTATE),
    SHIFT_ROWS("rcl", "2", ROTATE), SHIFT_ROWS("rcr", "3", ROTATE),
    SHIFT_ROWS("shl", "4", SHIFT), SHIFT_ROWS("shr", "5", SHIFT),
    SHIFT_ROWS("sal", "6", SHIFT), SHIFT_ROWS("sar", "7", SHIFT),
    {"shld r/m,r,imm8", "0f a4 /r ib", ANY, DOUBLE_SHIFT, PLAIN},
    {"shld r/m,r,cl", "0f a5 /r", ANY, DOUBLE_SHIFT, PLAIN},
    {"shrd r/m,r,imm8", "0f ac /r ib", ANY, DOUBLE_SHIFT, PLAIN},
    {"shrd r/m,r,cl", "0f ad /r", ANY, DOUBLE_SHIFT, PLAIN},

    {"daa", "27", BYTE, BCD_ADJUST, PLAIN},
    {"das", "2f", BYTE, BCD_ADJUST, PLAIN},
    {"aaa", "37", BYTE, BCD_SPLIT, PLAIN},
    {"aas", "3f", BYTE, BCD_SPLIT, PLAIN},
    {"aam", "d4 ib", BYTE, BCD_DIVIDE, PLAIN},
    {"aam 10", "d4 0a", BYTE, BCD_DIVIDE, PLAIN},
    {"aam 0 (#DE)", "d4 00", BYTE, DIVIDE, PLAIN},
    {"aad", "d5 ib", BYTE, BCD_DIVIDE, PLAIN},
    {"aad 10", "d5 0a", BYTE, BCD_DIVIDE, PLAIN},

    BIT_ROWS("bt", "a3", "4"), BIT_ROWS("bts", "ab", "5"),
    BIT_ROWS("btr", "b3", "6"), BIT_ROWS("btc", "bb", "7"),
    {"bsf r,r/m", "0f bc /r", ANY, BIT_SCAN, PLAIN},
    {"bsr r,r/m", "0f bd /r", ANY, BIT_SCAN, PLAIN},
    {"bswap r32", "0f c8 +r", DWORD, EXACT, PLAIN},

    {"mov r/m8,r8", "88 /r", BYTE, EXACT, PLAIN},
    {"mov r/m,r", "89 /r", ANY, EXACT, PLAIN},
    {"mov r8,r/m8", "8a /r", BYTE, EXACT, PLAIN},
    {"mov r,r/m", "8b /r", ANY, EXACT, PLAIN},
    {"mov al,moffs", "a0 ob", BYTE, EXACT, PLAIN},
    {"mov eax,moffs", "a1 ob", ANY, EXACT, PLAIN},
    {"mov moffs,al", "a2 ob", BYTE, EXACT, PLAIN},
    {"mov moffs,eax", "a3 ob", ANY, EXACT, PLAIN},
    {"mov r8,imm8", "b0 +r ib", BYTE, EXACT, PLAIN},
    {"mov r,imm", "b8 +r iz", ANY, EXACT, PLAIN},
    {"mov r/m8,imm8", "c6 /0 ib", BYTE, EXACT, PLAIN},
    {"mov r/m,imm", "c7 /0 iz", ANY, EXACT, PLAIN},
    {"movzx r,r/m8", "0f b6 /r", ANY, EXACT, PLAIN},
    {"movzx r,r/m16", "0f b7 /r", ANY, EXACT, PLAIN},
    {"movsx r,r/m8", "0f be /r", ANY, EXACT, PLAIN},
    {"movsx r,r/m16", "0f bf /r", ANY, EXACT, PLAIN},
    {"lea r,m", "8d /rm", ANY, EXACT, PLAIN},
    {"xchg r/m8,r8", "86 /r", BYTE, EXACT, PLAIN},
    {"xchg r/m,r", "87 /r", ANY, EXACT, PLAIN},
    {"xchg eax,r", "90 +r", ANY, EXACT, PLAIN},
    {"xadd r/m8,r8", "0f c0 /r", BYTE, EXACT, PLAIN},
    {"xadd r/m,r", "0f c1 /r", ANY, EXACT, PLAIN},
    {"cmpxchg r/m8,r8", "0f b0 /r", BYTE, EXACT, EQUAL},
    {"cmpxchg r/m,r", "0f b1 /r", ANY, EXACT, EQUAL},
    {"cmpxchg8b", "0f c7 /1m", DWORD, EXACT, EQUAL},
    {"xlat", "d7", BYTE, EXACT, TABLE},
    {"salc", "d6", BYTE, EXACT, PLAIN},
    {"cbw, cwde", "98", ANY, EXACT, PLAIN},
    {"cwd, cdq", "99", ANY, EXACT, PLAIN},
    {"lahf", "9f", BYTE, EXACT, PLAIN},
    {"sahf", "9e", BYTE, EXACT, PLAIN},
    {"clc", "f8", BYTE, EXACT, PLAIN},
    {"stc", "f9", BYTE, EXACT, PLAIN},
    {"cmc", "f5", BYTE, EXACT, PLAIN},
    {"cld", "fc", BYTE, EXACT, PLAIN},
    {"std", "fd", BYTE, EXACT, PLAIN},
    {"nop r/m", "0f 1f /0", ANY, EXACT, PLAIN},
    {"cmovcc r,r/m", "0f 40 +c /r", ANY, EXACT, PLAIN},
    {"setcc r/m8", "0f 90 +c /0", BYTE, EXACT, PLAIN},

    {"push r", "50 +r", ANY, EXACT, STACK},
    {"pop r", "58 +r", ANY, EXACT, STACK},
    {"push r/m", "ff /6", ANY, EXACT, STACK},
    {"pop r/m", "8f /0", ANY, EXACT, STACK},
    {"push imm", "68 iz", ANY, EXACT, STACK},
    {"push imm8", "6a ib", ANY, EXACT, STACK},
    {"push es", "06", ANY, EXACT, STACK},
    {"push cs", "0e", ANY, EXACT, STACK},
    {"push ss", "16", ANY, EXACT, STACK},
    {"push ds", "1e", ANY, EXACT, STACK},
    {"push fs", "0f a0", ANY, EXACT, STACK},
    {"push gs", "0f a8", ANY, EXACT, STACK},
    {"mov r/m,sreg", "8c /3", ANY, EXACT, PLAIN},
    {"mov r/m,cs", "8c /1", ANY, EXACT, PLAIN},
    {"pusha", "60", ANY, EXACT, STACK},
    {"popa", "61", ANY, EXACT, STACK},
    {"pushf", "9c", ANY, EXACT, STACK},
    {"popf", "9d", ANY, EXACT, FLAGS_IMAGE},
    {"enter imm16,0", "c8 iw 00", ANY, EXACT, STACK},
    {"enter 8,1", "c8 08 00 01", ANY, EXACT, STACK},
    {"enter 8,4", "c8 08 00 04", ANY, EXACT, STACK},
    {"enter 0,31", "c8 00 00 1f", ANY, EXACT, STACK},
    {"enter 0,35", "c8 00 00 23", ANY, EXACT, STACK},
    {"leave", "c9", ANY, EXACT, STACK},

    STRING_ROWS("movs", "a4", "a5"), STRING_ROWS("cmps", "a6", "a7"),
    STRING_ROWS("stos", "aa", "ab"), STRING_ROWS("lods", "ac", "ad"),
    STRING_ROWS("scas", "ae", "af"),

    {"jcc rel8", "70 +c jb", DWORD, EXACT, PLAIN},
    {"jcc rel", "0f 80 +c jz", ANY, EXACT, PLAIN},
    {"jmp rel8", "eb jb", DWORD, EXACT, PLAIN},
    {"jmp rel", "e9 jz", DWORD, EXACT, PLAIN},
    {"call rel", "e8 jz", DWORD, EXACT, STACK},
    {"loopne", "e0 jb", DWORD, EXACT, COUNT},
    {"loope", "e1 jb", DWORD, EXACT, COUNT},
    {"loop", "e2 jb", DWORD, EXACT, COUNT},
    {"jecxz", "e3 jb", DWORD, EXACT, COUNT},
    {"loop (67)", "67 e2 jb", DWORD, EXACT, COUNT},
    {"loope (67)", "67 e1 jb", DWORD, EXACT, COUNT},
    {"jcxz", "67 e3 jb", DWORD, EXACT, COUNT},
    {"jmp r/m", "ff /4", DWORD, EXACT, TARGET},
    {"call r/m", "ff /2", DWORD, EXACT, TARGET},
    {"ret", "c3", DWORD, EXACT, TARGET},
    {"ret imm16", "c2 iw", DWORD, EXACT, TARGET},
    {"jmp r/m16 wild", "ff /4", WORD, EXACT, PLAIN},
    {"ret wild", "c3", WORD, EXACT, STACK},

    {"bound r,m", "62 /rm", ANY, EXACT, PLAIN},
    {"into", "ce", BYTE, EXACT, PLAIN},
    {"int3", "cc", BYTE, EXACT, PLAIN},
    {"int 13h (#GP)", "cd 13", BYTE, EXACT, PLAIN},
    {"ud2", "0f 0b", BYTE, EXACT, PLAIN},
    {"arpl r/m16,r16", "63 /r", DWORD, EXACT, SELECTOR},
    {"lar r,r/m", "0f 02 /r", ANY, EXACT, SELECTOR},
    {"lsl r,r/m", "0f 03 /r", ANY, EXACT, SELECTOR},
    {"verr r/m", "0f 00 /4", DWORD, EXACT, SELECTOR},
    {"verw r/m", "0f 00 /5", DWORD, EXACT, SELECTOR},

    {"hlt (#GP)", "f4", BYTE, EXACT, PLAIN},
    {"cli (#GP)", "fa", BYTE, EXACT, PLAIN},
    {"sti (#GP)", "fb", BYTE, EXACT, PLAIN},
    {"in al,imm8 (#GP)", "e4 80", BYTE, EXACT, PLAIN},
    {"out dx,eax (#GP)", "ef", ANY, EXACT, PLAIN},
    {"ins (#GP)", "f3 6d", ANY, EXACT, STRING},
    {"outs (#GP)", "6e", BYTE, EXACT, STRING},
    {"mov r32,cr (#GP)", "0f 20 /0r", DWORD, EXACT, PLAIN},
    {"mov dr,r32 (#GP)", "0f 23 /7r", DWORD, EXACT, PLAIN},
    {"clts (#GP)", "0f 06", BYTE, EXACT, PLAIN},
    {"invd (#GP)", "0f 08", BYTE, EXACT, PLAIN},
    {"wbinvd (#GP)", "0f 09", BYTE, EXACT, PLAIN},
    {"lgdt (#GP)", "0f 01 /2m", DWORD, EXACT, PLAIN},
    {"lmsw (#GP)", "0f 01 /6", DWORD, EXACT, PLAIN},
    {"ltr (#GP)", "0f 00 /3", DWORD, EXACT, PLAIN},
    {"rdmsr (#GP)", "0f 32", BYTE, EXACT, PLAIN},
    {"wrmsr (#GP)", "0f 30", BYTE, EXACT, PLAIN},
};
/* clang-format on */

const unsigned forms_count = sizeof forms / sizeof forms[0];
