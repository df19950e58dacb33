; The A20 gate: port 92h and the keyboard controller, wrap at 1 MiB, page tables and code too; PUSHA at an odd SP in real
; mode; errors of the x87 by FERR#, IRQ 13, port F0h.
; KVM has no A20 gate, and TCG tells errors of the x87 too early.
%include "guest.inc"

LOW     equ 0x50000             ; and what it is with A20 open
HIGH    equ 0x150000
CODE16  equ SMALL               ; made 16-bit code, base 50000h
DATA16  equ SMALL_STACK

; number, value at LOW, value at HIGH
%macro LOW_HIGH 3
        cmp     dword [LOW], %2
        CHECK   %1, e
        cmp     dword [HIGH], %3
        CHECK   %1, e
%endmacro

keyboard_ready:
        in      al, 0x64
        test    al, 2
        jnz     keyboard_ready
        ret

; the controller's output port: what is in BL
output_port:
        call    keyboard_ready
        mov     al, 0xd1
        out     0x64, al
        call    keyboard_ready
        mov     al, bl
        out     0x60, al
        jmp     keyboard_ready

start32:
        mov     al, 2
        out     0x92, al
        mov     dword [LOW], 0x11111111
        mov     dword [HIGH], 0x22222222
        LOW_HIGH 1, 0x11111111, 0x22222222
        ; by port 92h
        xor     al, al
        out     0x92, al
        LOW_HIGH 2, 0x11111111, 0x11111111
        mov     dword [HIGH], 0x33333333
        LOW_HIGH 3, 0x33333333, 0x33333333
        mov     al, 2
        out     0x92, al
        LOW_HIGH 4, 0x33333333, 0x22222222
        ; by the keyboard controller
        mov     bl, 0xdd
        call    output_port
        LOW_HIGH 5, 0x33333333, 0x33333333
        mov     bl, 0xdf
        call    output_port
        LOW_HIGH 6, 0x33333333, 0x22222222

        ; page tables are at where the gate lets their addresses through
        mov     edi, 0x200000           ; a directory with A20 open, at 200000h
        mov     ecx, 1024
        xor     eax, eax
        rep     stosd
        mov     dword [0x200000], 0x83  ; 4 MiB of themselves
        mov     eax, cr4
        or      al, 0x10
        mov     cr4, eax
        mov     eax, 0x300000           ; with A20 closed the same
        mov     cr3, eax
        xor     al, al
        out     0x92, al
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        LOW_HIGH 7, 0x33333333, 0x33333333
        and     eax, 0x7fffffff
        mov     cr0, eax

        ; code: what was decoded at HIGH is not what stands there now
        mov     al, 2
        out     0x92, al
        mov     dword [LOW], 0xc301b0   ; MOV AL, 1; RET
        mov     dword [HIGH], 0xc302b0
        mov     ebx, HIGH
        call    ebx
        cmp     al, 2
        CHECK   8, e
        xor     al, al
        out     0x92, al
        call    ebx
        cmp     al, 1
        CHECK   9, e
        mov     byte [HIGH + 1], 3      ; LOW's
        call    ebx
        cmp     al, 3
        CHECK   10, e
        mov     al, 2
        out     0x92, al
        call    ebx
        cmp     al, 2
        CHECK   11, e

        ; errors of the x87 with CR0.NE clear: the next instruction waits, and IRQ 13 comes
        mov     al, 0x11                ; 8259As: vectors from 20h, all but IRQ 2 and 13 masked
        out     0x20, al
        out     0xa0, al
        mov     al, 0x20
        out     0x21, al
        mov     al, 0x28
        out     0xa1, al
        mov     al, 4
        out     0x21, al
        mov     al, 2
        out     0xa1, al
        mov     al, 1
        out     0x21, al
        out     0xa1, al
        mov     al, 0xfb
        out     0x21, al
        mov     al, 0xdf
        out     0xa1, al
        mov     eax, irq13
        mov     [idt + 0x2d * 8], ax
        mov     word [idt + 0x2d * 8 + 2], CODE0
        mov     word [idt + 0x2d * 8 + 4], 0x8e00
        mov     eax, cr0
        and     eax, ~0x2c              ; NE, TS, EM
        mov     cr0, eax
        fninit
        fldcw   [divisions]
        fld1
        fldz
        fdivp   st1, st0                ; an error, not told yet
        mov     dword [waited], 0
        mov     dword [check], 20
        sti
        nop
        nop
        cmp     dword [waited], 0
        CHECK   20, e
.waits: fld1
        cli
        cmp     dword [waited], 1
        CHECK   21, e
        cmp     dword [waited_at], .waits
        CHECK   22, e
        ; and goes on while the handler has had the error ignored: then both ones are there
        fnclex
        fld1
        fcompp
        fnstsw  ax
        and     ah, 0x45
        cmp     ah, 0x40
        CHECK   23, e
        ; FERR# has fallen and IGNNE# with it: the next error is told again
        fninit
        fldcw   [divisions]
        fld1
        fldz
        fdivp   st1, st0
        mov     dword [check], 24
        sti
.again: fwait
        cli
        cmp     dword [waited], 2
        CHECK   24, e
        cmp     dword [waited_at], .again
        CHECK   25, e

        ; real mode: PUSHA does not begin at an odd SP of 7 to 15
        mov     word [gdt + CODE16], 0xffff
        mov     byte [gdt + CODE16 + 5], 0x9a
        mov     byte [gdt + CODE16 + 6], 0
        mov     byte [gdt + CODE16 + 2], 0
        mov     byte [gdt + CODE16 + 4], 0
        mov     word [gdt + DATA16], 0xffff
        mov     byte [gdt + DATA16 + 4], 0
        mov     byte [gdt + DATA16 + 6], 0
        lidt    [real_idtr]
        jmp     CODE16:.leave
        bits    16
.leave: mov     ax, DATA16
        mov     ds, ax
        mov     ss, ax
        mov     eax, cr0
        and     al, 0xfe
        mov     cr0, eax
        jmp     0:.real
.real:  xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     word [13 * 4], .gp
        mov     word [13 * 4 + 2], 0
        mov     sp, 9
        pusha
        jmp     .back
.gp:    mov     word [faulted], sp
.back:  lgdt    [gdtr]
        lidt    [idtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     CODE0:.flat
        bits    32
.flat:  mov     ax, DATA0
        mov     ds, ax
        mov     ss, ax
        mov     esp, STACK
        cmp     word [faulted], 3       ; three words below 9
        CHECK   30, e
        PASS

; Ends the error as seen by the pins, not the error itself: FLD runs in spite of it.
irq13:  push    eax
        xor     al, al
        out     0xf0, al
        mov     al, 0x20
        out     0xa0, al
        out     0x20, al
        mov     eax, [esp + 4]
        mov     [waited_at], eax
        inc     dword [waited]
        pop     eax
        iretd

        align   4
waited      dd  0
waited_at   dd  0
divisions   dw  0x37b           ; division by zero is not masked
faulted     dw  0
real_idtr   dw  0x3ff
            dd  0
        GUEST_END
