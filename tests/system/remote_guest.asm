; A boot sector that does what it is told over COM1, for tests that move registers from outside (remote.py). A command is
; a letter and its operands, little-endian; the answer to each is its result, or "." where there is none.
;
;   I ax bx cx dx       INT 10h; answers ax
;   B port value8       OUT          b port     IN, one byte
;   W port value16      OUT          w port     IN, two
;   L port value32      OUT          l port     IN, four
;   F address32 count32 seed32       fills so many double words with a linear congruential generator's
;   S address32 count16 bytes        stores them
;   C from32 to32 count32            copies
;   O port count16 bytes             OUT, byte after byte
;   G address32 count16              answers that many bytes of memory
;   V eax ebx ecx edx                IN EAX, DX as the VMware backdoor has it; answers eax ebx ecx edx
;   E                   interrupts on (IRQ handlers of the BIOS), D off
;
; Memory up to 4 GiB is reached with a 4 GiB limit in ES, left there by a visit to protected mode.
; Source: 16550 data sheet (line status, divisor); INT 10h and 13h as every PC BIOS has them.
COM1        equ 3f8h
LINE_STATUS equ COM1 + 5
SECTORS     equ 2

        org     7c00h
        bits    16
        jmp     0:start
start:  cli
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     es, ax
        mov     sp, 7c00h
        mov     ax, 200h + SECTORS - 1
        mov     bx, 7e00h
        mov     cx, 2
        xor     dh, dh
        sti
        int     13h
        jc      start
        cli
        call    flat
        mov     dx, COM1 + 3    ; 115,200 bits a second, 8 bits, no interrupts
        mov     al, 80h
        out     dx, al
        mov     dx, COM1
        mov     ax, 1
        out     dx, ax
        mov     dx, COM1 + 3
        mov     al, 3
        out     dx, al
        mov     al, 'R'
        call    send
next:   call    flat            ; the BIOS may have loaded ES
        call    receive
        mov     bx, table
.find:  cmp     byte [bx], 0
        je      next
        cmp     [bx], al
        je      .found
        add     bx, 3
        jmp     .find
.found: call    [bx + 1]
        jmp     next

flat:   cli
        lgdt    [gdtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, 8
        mov     es, bx
        and     al, 0feh
        mov     cr0, eax
        xor     bx, bx
        mov     es, bx
        cmp     byte [interrupts], 0
        je      .off
        sti
.off:   ret

receive:
        mov     dx, LINE_STATUS
.wait:  in      al, dx
        test    al, 1
        jz      .wait
        mov     dx, COM1
        in      al, dx
        ret

send:   push    dx
        push    ax
        mov     dx, LINE_STATUS
.wait:  in      al, dx
        test    al, 20h
        jz      .wait
        pop     ax
        mov     dx, COM1
        out     dx, al
        pop     dx
        ret

; EAX = the next four (two: AX) bytes
receive32:
        call    receive16
        push    ax
        call    receive16
        shl     eax, 16
        pop     ax
        ret
receive16:
        call    receive
        push    ax
        call    receive
        mov     ah, al
        pop     cx
        mov     al, cl
        ret
send32: call    send16
        shr     eax, 16
send16: call    send
        push    ax
        mov     al, ah
        call    send
        pop     ax
        ret

times 510-($-$$) db 0
        dw      0aa55h

table:  db      'I'
        dw      video
        db      'B'
        dw      out8
        db      'W'
        dw      out16
        db      'L'
        dw      out32
        db      'b'
        dw      in8
        db      'w'
        dw      in16
        db      'l'
        dw      in32
        db      'F'
        dw      fill
        db      'S'
        dw      store
        db      'C'
        dw      copy
        db      'O'
        dw      out_string
        db      'G'
        dw      get
        db      'V'
        dw      backdoor
        db      'E'
        dw      enable
        db      'D'
        dw      disable
        db      0

video:  call    receive16
        push    ax
        call    receive16
        push    ax
        call    receive16
        push    ax
        call    receive16
        mov     dx, ax
        pop     cx
        pop     bx
        pop     ax
        sti
        int     10h
        jmp     send16

port:   call    receive16
        mov     [number], ax
        ret
out8:   call    port
        call    receive
        mov     dx, [number]
        out     dx, al
        jmp     done
out16:  call    port
        call    receive16
        mov     dx, [number]
        out     dx, ax
        jmp     done
out32:  call    port
        call    receive32
        mov     dx, [number]
        out     dx, eax
done:   mov     al, '.'
        jmp     send
in8:    call    port
        mov     dx, ax
        in      al, dx
        jmp     send
in16:   call    port
        mov     dx, ax
        in      ax, dx
        jmp     send16
in32:   call    port
        mov     dx, ax
        in      eax, dx
        jmp     send32

fill:   call    receive32
        mov     edi, eax
        call    receive32
        mov     ebp, eax
        call    receive32
.next:  imul    eax, eax, 1664525
        add     eax, 1013904223
        mov     [es:edi], eax
        add     edi, 4
        dec     ebp
        jnz     .next
        jmp     done

store:  call    receive32
        mov     edi, eax
        call    receive16
        movzx   ebp, ax
.byte:  call    receive
        mov     [es:edi], al
        inc     edi
        dec     ebp
        jnz     .byte
        jmp     done

copy:   call    receive32
        mov     esi, eax
        call    receive32
        mov     edi, eax
        call    receive32
        mov     ecx, eax
.byte:  mov     al, [es:esi]
        mov     [es:edi], al
        inc     esi
        inc     edi
        dec     ecx
        jnz     .byte
        jmp     done

out_string:
        call    port
        call    receive16
        mov     bp, ax
.byte:  call    receive
        mov     dx, [number]
        out     dx, al
        dec     bp
        jnz     .byte
        jmp     done

get:    call    receive32
        mov     esi, eax
        call    receive16
        movzx   ebp, ax
.byte:  mov     al, [es:esi]
        call    send
        inc     esi
        dec     ebp
        jnz     .byte
        ret

backdoor:
        call    receive32
        push    eax
        call    receive32
        push    eax
        call    receive32
        push    eax
        call    receive32
        mov     edx, eax
        pop     ecx
        pop     ebx
        pop     eax
        in      eax, dx
        push    edx
        push    ecx
        push    ebx
        call    send32
        pop     eax
        call    send32
        pop     eax
        call    send32
        pop     eax
        jmp     send32

enable: mov     byte [interrupts], 1
        jmp     done
disable:
        mov     byte [interrupts], 0
        jmp     done

number: dw      0
interrupts: db  0
gdtr:   dw      15
        dd      gdt
gdt:    dq      0
        dw      0ffffh, 0
        db      0, 92h, 0cfh, 0

times SECTORS * 512-($-$$) db 0
