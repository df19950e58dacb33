; trampoline.asm - what a further CPU does first
;
; A startup IPI makes it begin in real mode at address vv000h, where vv is a byte in the IPI: so this code must
; be copied to a page below 1 MB. It does in a few lines what the loader did for the first CPU. (No A20: it is
; on for the whole machine.)

TRAMPOLINE              equ 8000h       ; smp.c has the same number
SELECTOR_KERNEL_CS      equ 08h
SELECTOR_KERNEL_DS      equ 10h
SELECTOR_KERNEL_GS      equ 1Bh
CR0_PE                  equ 1
CR0_PG_PE               equ 80000001h
CR0_CACHE_OFF           equ 60000000h   ; CD and NW, which INIT leaves set

%define at(label) (TRAMPOLINE + (label) - trampoline_begin)

        global  trampoline_begin
        global  trampoline_end
        global  trampoline_gdt_ptr
        global  trampoline_cr3
        global  trampoline_stack
        extern  smp_cpu_main

        section .text
        bits    16
trampoline_begin:
        cli
        cld
        xor     ax, ax                  ; CS is 0800h here: use addresses from 0 on
        mov     ds, ax
        o32 lgdt [at(trampoline_gdt_ptr)]
        mov     eax, cr0
        or      al, CR0_PE
        mov     cr0, eax
        jmp     dword SELECTOR_KERNEL_CS:at(.protected)

        bits    32
.protected:
        mov     ax, SELECTOR_KERNEL_DS
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     ss, ax
        mov     ax, SELECTOR_KERNEL_GS
        mov     gs, ax
        mov     eax, [at(trampoline_cr3)]
        mov     cr3, eax
        mov     eax, cr0
        and     eax, ~CR0_CACHE_OFF
        or      eax, CR0_PG_PE
        mov     cr0, eax
        mov     esp, [at(trampoline_stack)]
        xor     ebp, ebp
        mov     eax, smp_cpu_main
        jmp     eax                     ; absolute: we are not where we were linked

        align   4
trampoline_gdt_ptr:
        times 6 db 0
        align   4
trampoline_cr3:
        dd      0
trampoline_stack:
        dd      0
trampoline_end:
