; kernel.asm - where the loader jumps to: a stack, a GDT and clean flags, and then C
;
; Memory as it stands on arrival (EAX = 'SPRK', EBX = the loader's boot information):
;
;   30000   ELF header
;   30400   .text: _start                  <- EIP
;   3xxxx   .rodata, .data, .bss (cleared) <- StackTop is in .bss
;   90100   the loader: its GDT in use, its stack in use
;  100000   page directory and tables in use

SELECTOR_KERNEL_CS      equ 08h
SELECTOR_KERNEL_DS      equ 10h
SELECTOR_KERNEL_GS      equ 1Bh
STACK_BYTES             equ 8 * 1024
PAGE                    equ 4096

        global  _start
        global  csinit
        global  StackTop
        global  StackGuard
        extern  gdt_ptr
        extern  boot_magic
        extern  boot_info_address
        extern  cstart
        extern  kernel_main

        section .bss
        alignb  PAGE
StackGuard:     resb PAGE       ; taken out of the page table later: a stack that overflows faults here
StackSpace:     resb STACK_BYTES
StackTop:

        section .text
_start:
        mov     esp, StackTop           ; out of the loader
        mov     [boot_magic], eax
        mov     [boot_info_address], ebx

        sgdt    [gdt_ptr]               ; where the loader's GDT is: cstart copies it and changes gdt_ptr
        call    cstart
        lgdt    [gdt_ptr]               ; in use from now on,
        jmp     SELECTOR_KERNEL_CS:csinit ; as far as CS is loaded anew

csinit:
        push    0
        popfd                           ; IF, DF, TF, NT and all others: clear

        mov     ax, SELECTOR_KERNEL_DS  ; and the others: they still hold what the old GDT said
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     ss, ax
        mov     ax, SELECTOR_KERNEL_GS
        mov     gs, ax

        xor     ebp, ebp                ; the end of every stack trace
        call    kernel_main             ; does not return
.halt:
        hlt
        jmp     .halt
