; probe.asm - a kernel in miniature, for the loader to load: adds up the bytes of a range and says on the serial port
; and in the top left corner of the screen whether the sum is right
;
; -DPLACE: where it runs; -DSTART, -DLENGTH (bytes, at least 1), -DSUM (32 bits)

        bits    32
        org     PLACE

COM1            equ 3F8h
LSR             equ COM1 + 5
LSR_EMPTY       equ 20h

        mov     esp, PLACE
        mov     esi, START
        mov     ecx, LENGTH
        xor     ebx, ebx
        xor     eax, eax
        cld
.add:
        lodsb
        rol     ebx, 1
        add     ebx, eax
        loop    .add
        mov     esi, good
        cmp     ebx, SUM
        je      .say
        mov     esi, bad
.say:
        lodsb
        test    al, al
        jz      .stop
        mov     ah, al
        mov     dx, LSR
.wait:
        in      al, dx
        test    al, LSR_EMPTY
        jz      .wait
        mov     al, ah
        mov     dx, COM1
        out     dx, al
        jmp     .say
.stop:
        hlt
        jmp     .stop

good    db 'probe: the sum is right', 10, 0
bad     db 'probe: the sum is WRONG', 10, 0
