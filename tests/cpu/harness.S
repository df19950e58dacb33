/*
 * The loop that runs one record after the other, on both sides the same, and the guest's kernel: exception handlers
 * that note what happened and go on with the loop (the host has a signal handler for that, native.c).
 */
#include "layout.h"

#define CONTROL(field) dword ptr [CONTROL_BASE + CONTROL_##field]
#define SAVE(field)    dword ptr [CONTROL_BASE + CONTROL_SAVE + SAVE_##field]

        .intel_syntax noprefix
        .section .rodata
        .code32

        .globl harness_start, harness_after, harness_faulted, harness_end
harness_start:
next:
        cld
        mov     ebp, CONTROL(CURRENT)
        cmp     ebp, CONTROL(END)
        jae     done
        lea     esi, [ebp + RECORD_MEMORY]
        mov     edi, SCRATCH
        mov     ecx, SCRATCH_SIZE / 4
        rep movsd
        mov     eax, [ebp + RECORD_CODE]
        mov     CONTROL(TARGET), eax
        mov     eax, [ebp + RECORD_ESP]
        mov     CONTROL(ESP), eax
        cmp     CONTROL(X87), 0
        je      load
        frstor  [ebp + RECORD_X87]
        cmp     CONTROL(X87), 2
        jne     load
        movups  xmm0, [ebp + RECORD_XMM + 0]
        movups  xmm1, [ebp + RECORD_XMM + 16]
        movups  xmm2, [ebp + RECORD_XMM + 32]
        movups  xmm3, [ebp + RECORD_XMM + 48]
        movups  xmm4, [ebp + RECORD_XMM + 64]
        movups  xmm5, [ebp + RECORD_XMM + 80]
        movups  xmm6, [ebp + RECORD_XMM + 96]
        movups  xmm7, [ebp + RECORD_XMM + 112]
        ldmxcsr [ebp + RECORD_XMM + XMM_MXCSR]
load:
        mov     esp, ebp
        popad
        popfd
        mov     esp, CONTROL(ESP)
        jmp     CONTROL(TARGET)

        /* The code under test ends with a jump to here. */
harness_after:
        mov     SAVE(ESP), esp
        mov     esp, CONTROL_BASE + CONTROL_SAVE + SAVE_ESP
        pushfd
        pushad
        mov     SAVE(VECTOR), NO_VECTOR
        mov     SAVE(EIP), 0
        mov     SAVE(ERROR), 0
        mov     SAVE(CR2), 0

        /* Here after a fault, with the outcome in place. */
harness_faulted:
        cld
        mov     ebp, CONTROL(CURRENT)
        mov     esi, CONTROL_BASE + CONTROL_SAVE
        lea     edi, [ebp + RECORD_OUT]
        mov     ecx, SAVE_SIZE / 4
        rep movsd
        mov     esi, SCRATCH
        lea     edi, [ebp + RECORD_MEMORY_OUT]
        mov     ecx, SCRATCH_SIZE / 4
        rep movsd
        cmp     CONTROL(X87), 0
        je      advance
        fnsave  [ebp + RECORD_X87_OUT]
        cmp     CONTROL(X87), 2
        jne     advance
        movups  [ebp + RECORD_XMM_OUT + 0], xmm0
        movups  [ebp + RECORD_XMM_OUT + 16], xmm1
        movups  [ebp + RECORD_XMM_OUT + 32], xmm2
        movups  [ebp + RECORD_XMM_OUT + 48], xmm3
        movups  [ebp + RECORD_XMM_OUT + 64], xmm4
        movups  [ebp + RECORD_XMM_OUT + 80], xmm5
        movups  [ebp + RECORD_XMM_OUT + 96], xmm6
        movups  [ebp + RECORD_XMM_OUT + 112], xmm7
        stmxcsr [ebp + RECORD_XMM_OUT + XMM_MXCSR]
        mov     SAVE(CR2), 0x1f80
        ldmxcsr SAVE(CR2)
advance:
        add     CONTROL(CURRENT), RECORD_SIZE
        jmp     next
done:
        jmp     CONTROL(DONE)
kernel_done:                            /* where that leads to in the guest */
        int     DONE_GATE
harness_end:

        /* ---- the guest's kernel ---- */

        .globl kernel_start, kernel_done, kernel_vectors, kernel_finish, kernel_end
kernel_start:
kernel_finish:                          /* the gate's handler; the machine stops inside OUT */
        mov     dx, DONE_PORT
        out     dx, al
        hlt
        jmp     kernel_finish

        .p2align 4
kernel_vectors:                         /* 16 bytes each */
        .set    vector, 0
        .rept   32
        .p2align 4
        /* those without an error code get 0 in its place */
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        push    0
        .endif
        push    vector
        jmp     faulted
        .set    vector, vector + 1
        .endr

        /* vector, error, EIP, CS, EFLAGS, ESP, SS */
        .set    faulted_address, HARNESS_BASE + (harness_faulted - harness_start)
faulted:
        pushad
        cld
        test    byte ptr [esp + 44], 3
        jz      panic
        mov     esi, esp
        mov     edi, CONTROL_BASE + CONTROL_SAVE
        mov     ecx, 8
        rep movsd
        mov     eax, [esp + 32]
        mov     SAVE(VECTOR), eax
        mov     eax, [esp + 36]
        mov     SAVE(ERROR), eax
        mov     eax, [esp + 40]
        mov     SAVE(EIP), eax
        mov     eax, [esp + 48]
        mov     SAVE(FLAGS), eax
        mov     eax, [esp + 52]
        mov     SAVE(ESP), eax
        mov     eax, cr2
        mov     SAVE(CR2), eax
        mov     eax, offset faulted_address
        mov     dword ptr [esp + 40], eax
        mov     dword ptr [esp + 44], USER_CODE
        mov     dword ptr [esp + 48], 0x202
        add     esp, 40
        iretd

panic:                                  /* a fault in the kernel itself */
        mov     dx, PANIC_PORT
        mov     eax, [esp + 32]
        out     dx, al
        hlt
        jmp     panic
kernel_end:

        .section .note.GNU-stack, "", @progbits
