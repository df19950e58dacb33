; Segment limits and rights of data accesses, the EXT bit of error codes, PG without PE. Hardware, KVM and the software CPU have
; them; QEMU's TCG does not and fails here at number 1.
%include "guest.inc"

; segment register, selector
%macro SEGMENT 2
        mov     ax, %2
        mov     %1, ax
%endmacro

start32:
        SEGMENT fs, READ_ONLY
        TRY
        mov     [fs:0x50000], al
        TRIED
        EXPECT  1, GP, 0
        SEGMENT fs, 0
        TRY
        mov     al, [fs:0]
        TRIED
        EXPECT  2, GP, 0
        TRY
        mov     [cs:0x50000], al
        TRIED
        EXPECT  3, GP, 0
        SEGMENT fs, SMALL
        TRY
        mov     al, [fs:0xfff]
        mov     eax, [fs:0xffc]
        TRIED
        EXPECT  4, NO_FAULT, 0
        TRY
        mov     eax, [fs:0xffd]
        TRIED
        EXPECT  5, GP, 0
        SEGMENT fs, SMALL
        TRY
        mov     al, [fs:0x1000]
        TRIED
        EXPECT  6, GP, 0
        SEGMENT fs, SMALL
        TRY
        mov     eax, [fs:0xffffffff]            ; wraps
        TRIED
        EXPECT  7, GP, 0
        SEGMENT fs, DATA0_HIGH
        TRY
        mov     al, [fs:0x1000]
        TRIED
        EXPECT  8, NO_FAULT, 0
        TRY
        mov     al, [fs:0xfff]
        TRIED
        EXPECT  9, GP, 0
        SEGMENT fs, DATA0_HIGH
        TRY
        mov     eax, [fs:0xfffffffd]
        TRIED
        EXPECT  10, GP, 0

        ; a stack fault on a push and on an access by EBP
        TRY
        SEGMENT ss, SMALL_STACK
        mov     esp, 0x800
        push    eax
        mov     al, [ss:0x1000]
        TRIED
        EXPECT  11, 12, 0
        TRY
        SEGMENT ss, SMALL_STACK
        mov     esp, 0x800
        mov     ebp, 0x1000
        mov     al, [ebp]
        TRIED
        EXPECT  12, 12, 0
        ; gates that are no good: EXT (bit 0) is set, as it happens while an exception is delivered
        mov     byte [idt + 6 * 8 + 5], 0x0e    ; not present
        TRY
        ud2
        TRIED
        EXPECT  20, 11, 6 * 8 + 3
        mov     byte [idt + 6 * 8 + 5], 0x8c    ; a call gate
        TRY
        ud2
        TRIED
        EXPECT  21, GP, 6 * 8 + 3
        mov     byte [idt + 6 * 8 + 5], 0x8e
        mov     word [idt + 6 * 8 + 2], DATA0
        TRY
        ud2
        TRIED
        EXPECT  22, GP, DATA0 + 1
        mov     word [idt + 6 * 8 + 2], CODE0
        TRY
        mov     eax, cr0
        and     eax, 0x7ffffffe
        or      eax, 0x80000000                 ; PG without PE
        mov     cr0, eax
        TRIED
        EXPECT  23, GP, 0
        PASS
        GUEST_END
