; The system's side of 64-bit code: steps through SYSCALL and SYSRET, descriptors of 16 bytes, the base of a segment
; that became null on the way out.
%include "guest.inc"
%include "long.inc"

TF          equ 1 << 8

; Sets the upper half of TSS64's base, as the descriptor of an available TSS.
%macro TSS_BASE_UPPER 1
        mov     dword [gdt64 + TSS64 + 8], %1
        mov     byte [gdt64 + TSS64 + 5], 0x89
%endmacro

start32:
        call    tables_make
        jmp     long_enter

        bits    64
start64:
        ; SYSCALL clears TF by FMASK and is not stepped over; SYSRET sets it and traps before the next instruction
        SET_MSR STAR, COMPAT3 << 16 | CODE64, 0
        SET_MSR LSTAR, 0, .called
        SET_MSR FMASK, 0, TF
        xor     eax, eax
        mov     dr6, rax
        TRY64
        mov     rcx, .user
        mov     r11d, 2
        mov     rsp, STACK3
        o64 sysret
.user:  push    TF | 2
        popfq
        syscall
.back:  ud2
.called:
        inc     dword [counted]
        o64 sysret
        TRIED64
        EXPECT64 1, 1, 0
        cmp     dword [counted], 1
        CHECK64 2, e
        cmp     qword [trap_rip], .back
        CHECK64 3, e
        cmp     dword [trap_cs], CODE3_64
        CHECK64 4, e
        mov     rax, dr6
        test    eax, 1 << 14
        CHECK64 5, nz
        mov     eax, DATA0
        mov     ss, eax

        ; the base of a TSS or LDT has to be canonical
        TSS_BASE_UPPER 0x00ffaaaa
        TRY64
        mov     eax, TSS64
        ltr     ax
        TRIED64
        EXPECT64 10, GP, TSS64
        TSS_BASE_UPPER 0
        mov     eax, TSS64
        ltr     ax
        mov     dword [gdt64 + LDT64 + 8], 0x00ffaaaa
        TRY64
        mov     eax, LDT64
        lldt    ax
        TRIED64
        EXPECT64 11, GP, LDT64
        mov     dword [gdt64 + LDT64 + 8], 0

        ; GS becomes null on the way to ring 3, and keeps its base
        mov     eax, DATA0
        mov     gs, eax
        SET_MSR GS_BASE, 0, VICTIM
        mov     dword [VICTIM + 8], 0x12345678
        TRY64
        RING3_64 .ring3, CODE3_64
.ring3: mov     ax, gs
        mov     [seen], ax
        mov     eax, [gs:8]
        mov     [seen + 4], eax
        ud2
        TRIED64
        EXPECT64 20, UD, 0
        cmp     dword [seen], 0
        CHECK64 21, e
        cmp     dword [seen + 4], 0x12345678
        CHECK64 22, e
        mov     eax, DATA0
        mov     ss, eax
        PASS64

        align   8
seen    dq      0
counted dq      0
        LONG_END
