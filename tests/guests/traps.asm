; What TCG gets wrong of #DB: the shadow of MOV SS, INT1 with what it held up, RF that holds for one instruction only.
%include "guest.inc"

VICTIM  equ 0x60000
RF      equ 1 << 16
TF      equ 1 << 8

; DR6's bits BD, BS and the four breakpoints: number, which
%macro DR6_IS 2
        mov     eax, dr6
        and     eax, 0x600f
        cmp     eax, %2
        CHECK   %1, e
        xor     eax, eax
        mov     dr6, eax
%endmacro

start32:
        xor     eax, eax
        mov     dr6, eax
        mov     dword [VICTIM], DATA0

        ; RF from IRET is gone behind one instruction, breakpoints on or not
        push    dword RF | 2
        push    dword CODE0
        push    dword .returned
        iretd
.returned:
        nop
        mov     eax, .here
        mov     dr0, eax
        mov     eax, 1
        mov     dr7, eax
        TRY
.here:  nop
        TRIED
        EXPECT  1, 1, 0
        DR6_IS  2, 1
        xor     eax, eax
        mov     dr7, eax

        ; MOV SS holds up what its own access hit: INT1 tells it
        mov     eax, VICTIM
        mov     dr1, eax
        mov     eax, 1 << 2 | 0xf << 20         ; L1, reads and writes of 4 bytes
        mov     dr7, eax
        TRY
        mov     ss, [VICTIM]
        db      0x2e, 0xf1                      ; INT1, with a prefix that does not matter
.traps: nop
        TRIED
        EXPECT  10, 1, 0
        cmp     dword [trap_eip], .traps
        CHECK   11, e
        DR6_IS  12, 2
        ; and there is no second one
        TRY
        nop
        nop
        TRIED
        EXPECT  13, NO_FAULT, 0

        ; behind another instruction it is told then
        TRY
        mov     ss, [VICTIM]
        nop
.later: nop
        TRIED
        EXPECT  20, 1, 0
        cmp     dword [trap_eip], .later
        CHECK   21, e
        DR6_IS  22, 2
        xor     eax, eax
        mov     dr7, eax

        ; a step over MOV SS traps behind the next
        TRY
        pushfd
        or      dword [esp], TF
        popfd
        mov     ss, [VICTIM]
        nop
.two:   nop
        TRIED
        EXPECT  30, 1, 0
        cmp     dword [trap_eip], .two
        CHECK   31, e
        DR6_IS  32, 1 << 14

        PASS
        GUEST_END
