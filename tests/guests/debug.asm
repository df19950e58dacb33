; #DB: single steps, breakpoints on execution and data, RF.
%include "guest.inc"

VICTIM  equ 0x60000
TF      equ 1 << 8
RF      equ 1 << 16

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

start32:
        xor     eax, eax
        mov     dr6, eax
        ; a step traps behind the instruction after POPF
        TRY
        pushfd
        or      dword [esp], TF
        popfd
        nop
.stepped:
        nop
        TRIED
        EXPECT  1, 1, 0
        cmp     dword [trap_eip], .stepped
        CHECK   2, e
        DR6_IS  3, 1 << 14
        test    dword [trap_flags], TF          ; in the pushed image, not in the handler
        CHECK   4, nz
        pushfd
        pop     eax
        test    eax, TF
        CHECK   5, z

        ; on execution: before the instruction
        mov     eax, .here
        mov     dr0, eax
        DR7     1
        xor     ebx, ebx
        TRY
        inc     ebx
.here:  inc     ebx
        inc     ebx
        TRIED
        EXPECT  10, 1, 0
        cmp     dword [trap_eip], .here
        CHECK   11, e
        cmp     ebx, 1
        CHECK   12, e
        DR6_IS  13, 1
        ; RF lets it run once
        TRY
        push    dword RF | 2
        push    dword CODE0
        push    dword .here_again
        mov     eax, .here_again
        mov     dr0, eax
        iretd
.here_again:
        inc     ebx
        ud2
        TRIED
        EXPECT  14, 6, 0
        cmp     ebx, 2
        CHECK   15, e

        ; on writes: behind the instruction; reads do not count
        mov     eax, VICTIM
        mov     dr1, eax
        DR7     1 << 2 | 0xd << 20              ; L1, write, 4 bytes
        TRY
        mov     al, [VICTIM + 1]
        mov     byte [VICTIM + 4], 1
        mov     byte [VICTIM - 1], 1
        mov     byte [VICTIM + 3], 0x5a
.written:
        nop
        TRIED
        EXPECT  20, 1, 0
        cmp     dword [trap_eip], .written
        CHECK   21, e
        cmp     byte [VICTIM + 3], 0x5a
        CHECK   22, e
        DR6_IS  23, 2
        TRY
        push    dword [VICTIM + 8]
        pop     dword [VICTIM - 2]              ; runs into it
.popped:
        nop
        TRIED
        EXPECT  24, 1, 0
        cmp     dword [trap_eip], .popped
        CHECK   25, e
        DR6_IS  26, 2
        ; on reads and writes
        DR7     1 << 2 | 0x3 << 20              ; 1 byte
        TRY
        mov     al, [VICTIM + 1]
        mov     eax, [VICTIM - 2]
.read:  nop
        TRIED
        EXPECT  27, 1, 0
        cmp     dword [trap_eip], .read
        CHECK   28, e
        DR6_IS  29, 2

        ; DR4 is DR6, until CR4.DE forbids it
        mov     eax, dr4
        and     eax, 0xffff0ff0
        cmp     eax, 0xffff0ff0
        CHECK   40, e
        mov     eax, cr4
        or      eax, 1 << 3
        mov     cr4, eax
        TRY
        mov     eax, dr4
        TRIED
        EXPECT  41, 6, 0

        PASS
        GUEST_END
