; vectors.asm - one entry for each of the 256 interrupt vectors; all go on in interrupt_dispatch, in C
;
; For some exceptions the CPU pushes an error code, for all else we push a 0, so that the stack always looks
; the same. interrupts.h describes it as struct frame.

SELECTOR_KERNEL_DS      equ 10h
SELECTOR_KERNEL_GS      equ 1Bh

        global  vector_table
        global  interrupt_return
        global  interrupt_simulate
        global  double_fault_task
        extern  interrupt_dispatch
        extern  double_fault

%define has_error_code(n) (n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21 || n == 29 || n == 30)

        section .text
%assign n 0
%rep 256
vector_ %+ n:
%if !has_error_code(n)
        push    dword 0
%endif
        push    dword n
        jmp     interrupt_common
%assign n n + 1
%endrep

interrupt_common:
        pushad
        push    ds
        push    es
        push    fs
        push    gs
        mov     ax, SELECTOR_KERNEL_DS
        mov     ds, ax
        mov     es, ax
        mov     ax, SELECTOR_KERNEL_GS
        mov     gs, ax
        cld
        push    esp                     ; struct frame *
        call    interrupt_dispatch
        add     esp, 4
interrupt_return:
        pop     gs
        pop     fs
        pop     es
        pop     ds
        popad
        add     esp, 8                  ; vector and error code
        iretd

; void interrupt_simulate(u32 vector, u32 error): as if the CPU had found this exception at the caller
interrupt_simulate:
        pushfd
        cli
        push    cs
        push    dword [esp + 8]         ; EIP: our return address
        push    dword [esp + 20]        ; error code: behind EIP, CS, EFLAGS, return address, vector
        push    dword [esp + 20]        ; vector
        jmp     interrupt_common

; The task that a double fault switches to. It has a stack of its own: the faulting one may be the reason.
double_fault_task:
        call    double_fault            ; with the error code, always 0, pushed by the CPU
        hlt
        jmp     double_fault_task

        section .rodata
        align   4
vector_table:
%assign n 0
%rep 256
        dd      vector_ %+ n
%assign n n + 1
%endrep
