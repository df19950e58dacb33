; Segment loads, rings, call gates, INT and its gate's DPL, privileged instructions, the I/O bitmap.
%define GATE_ENTRY
%include "guest.inc"

; number, register, selector, vector, error
%macro LOAD 5
        TRY
        mov     ax, %3
        mov     %2, ax
        TRIED
        EXPECT  %1, %4, %5
%endmacro

start32:
        LOAD    1, ds, READ_ONLY, NO_FAULT, 0
        LOAD    2, es, 0, NO_FAULT, 0
        LOAD    3, ss, READ_ONLY, GP, READ_ONLY
        LOAD    4, ss, 0, GP, 0
        LOAD    5, ds, ABSENT, 11, ABSENT
        LOAD    6, ss, ABSENT, 12, ABSENT
        LOAD    7, ds, TSS, GP, TSS
        LOAD    8, ds, EXECUTE, GP, EXECUTE
        LOAD    9, ds, CONFORMING, NO_FAULT, 0
        LOAD    10, ds, 0x1000, GP, 0x1000
        LOAD    11, ds, 0x14, GP, 0x14          ; there is no LDT
        LOAD    12, ss, DATA0 | 1, GP, DATA0
        LOAD    13, ss, DATA3, GP, DATA3 & ~3
        mov     ax, DATA0
        mov     ds, ax
        mov     es, ax
        test    byte [gdt + READ_ONLY + 5], 1
        CHECK   14, nz                          ; the load set the accessed bit

        TRY
        jmp     DATA0:fail
        TRIED
        EXPECT  15, GP, DATA0
        TRY
        jmp     CODE3:fail
        TRIED
        EXPECT  16, GP, CODE3 & ~3
        TRY
        call    NO_TYPE:0
        TRIED
        EXPECT  17, GP, NO_TYPE
        TRY
        jmp     0:0
        TRIED
        EXPECT  18, GP, 0
        ; ring 3
        TRY
        RING3   .ring3_cli, 2
.ring3_cli:
        cli
        TRIED
        EXPECT  30, GP, 0
        cmp     dword [trap_cs], CODE3
        CHECK   31, e
        mov     eax, [trap_frame]
        cmp     dword [eax + 12], STACK3        ; ESP and SS of ring 3 are on the inner stack
        CHECK   32, e
        cmp     dword [eax + 16], DATA3
        CHECK   33, e
        TRY
        RING3   .ring3_int, 2
.ring3_int:
        int     0x20                            ; there is a gate only up to 1fh
        TRIED
        EXPECT  34, GP, 0x20 * 8 + 2
        TRY
        RING3   .ring3_int3, 2
.ring3_int3:
        int3                                    ; DPL 0
        TRIED
        EXPECT  35, GP, 3 * 8 + 2
        or      byte [idt + 3 * 8 + 5], 0x60
        TRY
        RING3   .ring3_int3_again, 2
.ring3_int3_again:
        int3
.after_int3:
        TRIED
        EXPECT  36, 3, 0
        cmp     dword [trap_eip], .after_int3
        CHECK   37, e
        TRY
        RING3   .ring3_data, 2
.ring3_data:
        mov     ax, DATA0
        mov     es, ax
        TRIED
        EXPECT  38, GP, DATA0
        TRY
        RING3   .ring3_in, 2
.ring3_in:
        in      al, 0x71
        TRIED
        EXPECT  39, GP, 0
        mov     byte [ports + 0x70 / 8], 0xfd   ; opens 71h
        TRY
        RING3   .ring3_in_open, 2
.ring3_in_open:
        in      al, 0x71
        in      ax, 0x71                        ; 72h is closed
        TRIED
        EXPECT  40, GP, 0
        cmp     dword [trap_eip], .ring3_in_open + 2
        CHECK   41, e
        TRY
        RING3   .ring3_hlt, 0x3002              ; IOPL 3 does not allow HLT
.ring3_hlt:
        in      al, 0x80
        cli
        hlt
        TRIED
        EXPECT  42, GP, 0
        cmp     dword [trap_eip], .ring3_hlt + 3
        CHECK   43, e

        ; POPF at ring 3 changes neither IF nor IOPL
        TRY
        RING3   .ring3_popf, 2
.ring3_popf:
        push    dword 0x3ed7
        popfd
        ud2
        TRIED
        EXPECT  44, 6, 0
        mov     eax, [trap_flags]
        and     eax, 0x3200
        CHECK   45, z

        ; the call gate copies two parameters and comes back
        TRY
        RING3   .ring3_call, 2
.ring3_call:
        mov     ax, DATA3
        mov     ds, ax
        mov     es, ax
        push    dword 0x11111111
        push    dword 0x22222222
        call    CALL_GATE:0
        mov     ecx, esp
        mov     bx, fs                          ; the gate left DATA0 in there
        ud2
        TRIED
        EXPECT  50, 6, 0
        cmp     dword [trap_cs], CODE3
        CHECK   51, e
        cmp     ecx, STACK3                     ; RETF 8 released the parameters on both stacks
        CHECK   52, e
        cmp     bx, 0
        CHECK   53, e
        cmp     dword [gate_first], 0x22222222
        CHECK   54, e
        cmp     dword [gate_second], 0x11111111
        CHECK   55, e
        cmp     dword [gate_stack], STACK0 - 24
        CHECK   56, e

        ; conforming code runs at the caller's level
        TRY
        RING3   .ring3_conforming, 2
.ring3_conforming:
        jmp     CONFORMING:.conforming
.conforming:
        mov     bx, cs
        cli
        TRIED
        EXPECT  57, GP, 0
        cmp     bx, CONFORMING | 3
        CHECK   58, e

        ; RETF to an inner ring
        TRY
        RING3   .ring3_retf, 2
.ring3_retf:
        push    dword CODE0
        push    dword fail
        retf
        TRIED
        EXPECT  59, GP, CODE0

        ; LAR, LSL, VERR, VERW, ARPL
        mov     ax, TSS
        lar     eax, eax
        CHECK   60, z
        and     eax, 0xff00
        cmp     eax, 0x8b00
        CHECK   61, e
        mov     ax, CALL_GATE
        lsl     eax, eax
        CHECK   62, nz
        mov     ax, DATA0
        lsl     eax, eax
        CHECK   63, z
        cmp     eax, 0xffffffff
        CHECK   64, e
        mov     ax, READ_ONLY
        verw    ax
        CHECK   65, nz
        verr    ax
        CHECK   66, z
        mov     ax, 0x10
        mov     bx, 0x0b
        arpl    ax, bx
        CHECK   67, z
        cmp     ax, 0x13
        CHECK   68, e

        PASS

gate_entry:                                     ; EIP, CS, two parameters, ESP, SS
        mov     ax, DATA0
        mov     fs, ax
        mov     [fs:gate_stack], esp
        mov     eax, [esp + 8]
        mov     [fs:gate_first], eax
        mov     eax, [esp + 12]
        mov     [fs:gate_second], eax
        retf    8

gate_first  dd 0
gate_second dd 0
gate_stack  dd 0
        GUEST_END
