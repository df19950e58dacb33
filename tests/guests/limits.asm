; Segment limits and rights of data accesses, the EXT bit of error codes, PG without PE, the guard
; of the debug registers, INT1. Hardware, KVM and the software CPU have them; QEMU's TCG does not and fails here at number 1.
%include "guest.inc"

; number, bits of DR6 that have to be set (of BD, BS and the four breakpoints)
%macro DR6_IS 2
        mov     eax, dr6
        and     eax, 0x600f
        cmp     eax, %2
        CHECK   %1, e
        xor     eax, eax
        mov     dr6, eax
%endmacro

%macro DR7 1
        mov     eax, %1
        mov     dr7, eax
%endmacro

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
        ; debug registers under guard
        xor     eax, eax
        mov     dr6, eax
        DR7     1 << 13
        TRY
.guarded:
        mov     eax, dr0
        TRIED
        EXPECT  30, 1, 0
        cmp     dword [trap_eip], .guarded
        CHECK   31, e
        DR6_IS  32, 1 << 13                     ; and the guard is gone
        mov     eax, dr7
        cmp     eax, 0x400
        CHECK   33, e

        TRY
        db      0xf1
.after_int1:
        nop
        TRIED
        EXPECT  40, 1, 0
        cmp     dword [trap_eip], .after_int1
        CHECK   41, e
        PASS
        GUEST_END
