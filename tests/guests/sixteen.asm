; What the 286 left: 16-bit gates, 16-bit TSSs, IRET with 16-bit operands.
%define GATE_ENTRY
%include "guest.inc"

start32:
        ; a 16-bit trap gate pushes words
        mov     word [idt + 6 * 8], handler
        mov     byte [idt + 6 * 8 + 5], 0x87
        mov     ebx, esp
        mov     dword [check], 1
.faulting:
        ud2
        cmp     ebx, esp
        CHECK   2, e
        cmp     word [frame], .faulting
        CHECK   3, e
        cmp     word [frame + 2], CODE0
        CHECK   4, e
        sub     ebx, 6
        cmp     [frame_at], ebx
        CHECK   5, e

        ; a 16-bit call gate from ring 3 copies words
        mov     byte [gdt + CALL_GATE + 5], 0xe4
        mov     word [idt + 6 * 8], stubs + 6 * 8
        mov     byte [idt + 6 * 8 + 5], 0x8e
        TRY
        RING3   .ring3, 2
SP3     equ     0xf000                          ; a 16-bit gate saves 16 bits of it
.ring3: mov     esp, SP3
        push    word 0x1111
        push    word 0x2222
        call    CALL_GATE:0
.back:  mov     ecx, esp
        ud2
        TRIED
        EXPECT  10, 6, 0
        cmp     ecx, SP3
        CHECK   11, e
        cmp     word [frame], .back
        CHECK   12, e
        cmp     word [frame + 2], CODE3
        CHECK   13, e
        cmp     dword [frame + 4], 0x11112222
        CHECK   14, e
        cmp     dword [frame_at], STACK0 - 12
        CHECK   15, e

        ; a 16-bit task and back
        mov     byte [gdt + TSS_OTHER + 5], 0x81
        mov     word [gdt + TSS_OTHER], 0x2b
        mov     word [tss_other + 0x0e], task
        mov     word [tss_other + 0x10], 2
        mov     word [tss_other + 0x12], 0xaaaa
        mov     word [tss_other + 0x1a], 0x6800
        mov     word [tss_other + 0x20], 0xd1d1
        mov     word [tss_other + 0x22], DATA0
        mov     word [tss_other + 0x24], CODE0
        mov     word [tss_other + 0x26], DATA0
        mov     word [tss_other + 0x28], DATA0
        mov     ebx, 0x12345678
        mov     dword [check], 20
        call    TSS_OTHER:0
        cmp     ebx, 0x12345678
        CHECK   21, e
        cmp     word [tss_other + 0x0e], task.end
        CHECK   22, e
        cmp     word [tss_other + 0x18], 0x5678
        CHECK   23, e
        ; its limit is checked
        mov     word [gdt + TSS_OTHER], 0x2a
        TRY
        call    TSS_OTHER:0
        TRIED
        EXPECT  24, 10, TSS_OTHER
        PASS

handler:
        mov     [frame_at], esp
        mov     eax, [esp]
        mov     [frame], eax
        add     word [esp], 2
        o16 iret

gate_entry:                                     ; IP, CS, two words, SP, SS
        mov     ax, DATA0
        mov     ds, ax
        mov     [frame_at], esp
        mov     eax, [esp]
        mov     [frame], eax
        mov     eax, [esp + 4]
        mov     [frame + 4], eax
        o16 retf 4

task:   mov     dword [check], 25
        cmp     ax, 0xaaaa
        jne     fail
        cmp     di, 0xd1d1
        jne     fail
        cmp     sp, 0x6800
        jne     fail
        mov     bx, 0x5678
        iretd
.end:   jmp     fail

        align   4
frame   dd      0, 0
frame_at dd     0
        GUEST_END
