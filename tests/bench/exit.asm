; A 64 KiB ROM whose first instructions end the machine: what is measured is the time to get there. Port F4h is
; isa-debug-exit in hearth and QEMU; the word "Shutdown" on port 8900h ends Bochs.
        bits    16
        org     0

PORT_DEBUG_EXIT equ     0xf4
PORT_BOCHS_EXIT equ     0x8900
ROM_SIZE        equ     0x10000
RESET_VECTOR    equ     0xfff0

        times   RESET_VECTOR - 0x100 - ($ - $$) db 0xf4
start:
        mov     al, 0
        out     PORT_DEBUG_EXIT, al
        mov     dx, PORT_BOCHS_EXIT
        mov     si, word_shutdown
.next:
        cs lodsb
        out     dx, al
        test    al, al
        jnz     .next
.stop:
        hlt
        jmp     .stop
word_shutdown:
        db      "Shutdown", 0

        times   RESET_VECTOR - ($ - $$) db 0xf4
        jmp     start
        times   ROM_SIZE - ($ - $$) db 0
