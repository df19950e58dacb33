; Virtual 8086 mode: the way in and out, what IOPL below 3 traps, INT n.
%include "guest.inc"
%include "v86.inc"

start32:
        TRY
        TO_V86  plain, 2
        TRIED
        EXPECT  1, 6, 0
        test    dword [trap_flags], VM
        CHECK   2, nz
        mov     eax, [trap_frame]
        cmp     dword [eax], plain.end - plain
        CHECK   3, e
        cmp     dword [eax + 4], V86 / 16
        CHECK   4, e
        cmp     dword [eax + 12], 0x0ffe
        CHECK   5, e
        cmp     dword [eax + 16], 0x3000
        CHECK   6, e
        cmp     dword [eax + 20], 0x4444
        CHECK   7, e
        cmp     dword [eax + 24], 0x5555        ; DS, as loaded there
        CHECK   8, e
        cmp     dword [eax + 32], 0x1111
        CHECK   9, e
        cmp     byte [0x55550 + 0x10], 0x77
        CHECK   10, e

        TRAPS   20, do_cli, 2
        TRAPS   21, do_sti, 2
        TRAPS   22, do_pushf, 2
        TRAPS   23, do_popf, 2
        TRAPS   24, do_int, 2
        TRAPS   25, do_iret, 2
        TRAPS   26, do_hlt, IOPL3 | 2
        TRAPS   27, do_in, IOPL3 | 2            ; the bitmap decides, not IOPL
        TRAPS   28, do_cr0, IOPL3 | 2

        TRY
        TO_V86  do_lldt, 2
        TRIED
        EXPECT  29, 6, 0

        ; INT3 goes by the IDT whatever IOPL; its gate's DPL counts
        TRY
        TO_V86  do_int3, 2
        TRIED
        EXPECT  30, GP, 3 * 8 + 2
        or      byte [idt + 3 * 8 + 5], 0x60
        TRY
        TO_V86  do_int3, 2
        TRIED
        EXPECT  31, 3, 0

        ; with IOPL 3
        TRY
        TO_V86  with_iopl3, IOPL3 | 2
        TRIED
        EXPECT  32, 6, 0
        TRY
        TO_V86  do_int, IOPL3 | 2               ; INT 4 by the IDT: DPL 0
        TRIED
        EXPECT  33, GP, 4 * 8 + 2
        or      byte [idt + 4 * 8 + 5], 0x60
        TRY
        TO_V86  do_int, IOPL3 | 2
        TRIED
        EXPECT  34, 4, 0
        cmp     dword [trap_eip], 2
        CHECK   35, e

        PASS

        bits    16
plain:  mov     ax, 0x5555
        mov     ds, ax
        mov     byte [0x10], 0x77
        push    ax
.end:   ud2
do_cli: cli
        ud2
do_sti: sti
        ud2
do_pushf:
        pushf
        ud2
do_popf:
        popf
        ud2
do_int: int     4
        ud2
do_iret:
        iret
do_hlt: hlt
do_in:  in      al, 0x60
        ud2
do_cr0: mov     eax, cr0
        ud2
do_lldt:
        lldt    ax
        ud2
do_int3:
        int3
        ud2
with_iopl3:
        cli
        pushf
        popf
        pushf
        push    cs
        call    .next
.next:  pop     ax
        add     ax, .end - .next
        push    ax
        iret
.end:   ud2
        times   64 db 0x90
        bits    32
        GUEST_END
