; Task switches by JMP, CALL, task gates and IRET: registers, busy bits, NT, the back link, CR0.TS, faults of the new task.
%include "guest.inc"

BUSY    equ gdt + 5             ; + selector
; number, selector, type expected in byte 5
%macro TYPE_IS 3
        mov     al, [BUSY + %2]
        and     al, 0x1f
        cmp     al, %3
        CHECK   %1, e
%endmacro

%macro PREPARE 1                ; where the other task starts
        mov     edi, tss_other
        mov     ecx, 26
        xor     eax, eax
        rep     stosd
        mov     dword [tss_other + 0x20], %1
        mov     dword [tss_other + 0x24], 2
        mov     dword [tss_other + 0x28], 0xaaaaaaaa
        mov     dword [tss_other + 0x38], STACK_TASK
        mov     dword [tss_other + 0x44], 0x51515151
        mov     dword [tss_other + 0x48], DATA0
        mov     dword [tss_other + 0x4c], CODE0
        mov     dword [tss_other + 0x50], DATA0
        mov     dword [tss_other + 0x54], DATA0
        mov     dword [tss_other + 0x58], 0
        mov     dword [tss_other + 0x5c], 0
%endmacro

start32:
        TYPE_IS 1, TSS, 0x0b                    ; LTR made it busy
        TRY
        mov     ax, TSS
        ltr     ax
        TRIED
        EXPECT  2, GP, TSS

        ; CALL and IRET
        PREPARE called
        mov     ebx, 0x12345678
        mov     dword [check], 3
        call    TSS_OTHER:0x99999999
        cmp     ebx, 0x12345678
        CHECK   4, e
        TYPE_IS 5, TSS_OTHER, 0x09
        TYPE_IS 6, TSS, 0x0b
        pushfd
        pop     eax
        test    eax, 1 << 14
        CHECK   7, z                            ; NT was cleared on the way
        cmp     dword [tss_other + 0x20], called.again
        CHECK   8, e
        test    dword [tss_other + 0x24], 1 << 14
        CHECK   9, z

        ; through a task gate, going on where it was left
        mov     dword [check], 10
        call    TASK_GATE:0
        cmp     byte [rounds], 2
        CHECK   11, e

        ; JMP there and back: no link, no NT
        PREPARE jumped
        mov     dword [check], 12
        jmp     TSS_OTHER:0
        TYPE_IS 13, TSS, 0x0b
        TYPE_IS 14, TSS_OTHER, 0x09

        ; to a busy task
        TRY
        jmp     TSS:0
        TRIED
        EXPECT  15, GP, TSS

        ; an exception through a task gate brings its error code
        PREPARE excepted
        mov     word [idt + GP * 8 + 2], TSS_OTHER
        mov     byte [idt + GP * 8 + 5], 0x85
        mov     dword [check], 20
        mov     byte [rounds], 0
        mov     ax, 0x1000
.faulting:
        mov     ds, ax
        mov     ax, DATA0
        mov     ds, ax
        cmp     byte [rounds], 1
        CHECK   21, e
        mov     word [idt + GP * 8 + 2], CODE0
        mov     byte [idt + GP * 8 + 5], 0x8e

        ; a new task with a bad segment: #TS in the new task
        PREPARE fail
        mov     dword [tss_other + 0x54], EXECUTE
        TRY
        call    TSS_OTHER:0
        TRIED
        mov     dword [check], 30
        cmp     byte [trap_vector], 10
        jne     fail
        cmp     dword [trap_error], EXECUTE
        jne     fail
        str     ax
        cmp     ax, TSS_OTHER
        CHECK   31, e
        mov     eax, cr0
        test    eax, 8
        CHECK   32, nz                          ; TS is set
        PASS

called: mov     dword [check], 40
        cmp     eax, 0xaaaaaaaa
        jne     fail
        cmp     edi, 0x51515151
        jne     fail
        cmp     esi, 0
        jne     fail
        cmp     esp, STACK_TASK
        jne     fail
        mov     dword [check], 41
        pushfd
        pop     eax
        test    eax, 1 << 14
        jz      fail
        cmp     word [tss_other], TSS
        jne     fail
        mov     dword [check], 42
        mov     al, [BUSY + TSS_OTHER]
        and     al, 0x1f
        cmp     al, 0x0b
        jne     fail
        mov     al, [BUSY + TSS]
        and     al, 0x1f
        cmp     al, 0x0b
        jne     fail
        mov     dword [check], 43
        str     ax
        cmp     ax, TSS_OTHER
        jne     fail
        cmp     dword [tss + 0x34], 0x12345678  ; EBX
        jne     fail
        inc     byte [rounds]
        iretd
.again: inc     byte [rounds]
        iretd

jumped: mov     dword [check], 44
        pushfd
        pop     eax
        test    eax, 1 << 14
        jnz     fail
        cmp     word [tss_other], 0
        jne     fail
        mov     al, [BUSY + TSS]
        and     al, 0x1f
        cmp     al, 0x09
        jne     fail
        jmp     TSS:0

excepted:
        mov     dword [check], 45
        pop     eax
        cmp     eax, 0x1000
        jne     fail
        cmp     dword [tss + 0x20], start32.faulting
        jne     fail
        mov     dword [tss + 0x28], DATA0       ; its EAX
        inc     byte [rounds]
        iretd

rounds  db 0
        GUEST_END
