; ENTER on a 16-bit stack: the frame pointer has the upper half of ESP, across the wrap of SP too. TCG makes it of SP alone.
%include "guest.inc"

start32:
        mov     word [gdt + SMALL_STACK], 0xffff
        mov     byte [gdt + SMALL_STACK + 6], 0         ; D clear
        mov     ax, SMALL_STACK
        mov     ss, ax
        mov     esp, 0x10000
        mov     ebp, 0x1ffe0
        enter   8, 2
        mov     eax, [0x50000 + 0xfff4]
        mov     ecx, esp
        mov     bx, DATA0
        mov     ss, bx
        mov     esp, STACK
        cmp     ecx, 0x1ffec
        CHECK   1, e
        cmp     ebp, 0x1fffc
        CHECK   2, e
        cmp     eax, 0x1fffc
        CHECK   3, e
        PASS
        GUEST_END
