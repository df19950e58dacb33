; What becomes of faults that arise while an exception is delivered: serial ones, and double faults, which a task takes.
%include "guest.inc"

TASK_GATE_BYTE equ 0x85

; A double fault arrives in the task at `double`, which sends the first task to `trap_resume`.
%macro EXPECT_DOUBLE 1
        EXPECT  %1, 8, 0
%endmacro

; The gate of a vector: byte 5 and selector
%macro GATE 3
        mov     word [idt + %1 * 8 + 2], %2
        mov     byte [idt + %1 * 8 + 5], %3
%endmacro

start32:
        mov     dword [tss_double + 0x20], double
        mov     dword [tss_double + 0x24], 2
        mov     dword [tss_double + 0x38], STACK_TASK
        mov     dword [tss_double + 0x48], DATA0
        mov     dword [tss_double + 0x4c], CODE0
        mov     dword [tss_double + 0x50], DATA0
        mov     dword [tss_double + 0x54], DATA0
        mov     dword [tss_double + 0x58], DATA0
        mov     dword [tss_double + 0x5c], DATA0
        GATE    8, TSS_DOUBLE, TASK_GATE_BYTE

        ; #GP whose gate is not present: #NP while a contributory exception is delivered
        GATE    GP, CODE0, 0x0e
        TRY
        mov     ax, 0x1000
        mov     ds, ax
        TRIED
        EXPECT_DOUBLE 1
        ; #GP whose gate leads to data
        GATE    GP, DATA0, 0x8e
        TRY
        mov     ax, 0x1000
        mov     ds, ax
        TRIED
        EXPECT_DOUBLE 2
        ; #NP whose gate is not present either: #NP after #NP
        GATE    GP, CODE0, 0x8e
        GATE    11, CODE0, 0x0e
        TRY
        mov     ax, ABSENT
        mov     ds, ax
        TRIED
        EXPECT_DOUBLE 3
        GATE    11, CODE0, 0x8e
        ; #DE is contributory
        GATE    0, CODE0, 0x0e
        TRY
        xor     ecx, ecx
        div     ecx
        TRIED
        EXPECT_DOUBLE 4
        GATE    0, CODE0, 0x8e
        ; #UD is benign: the #NP of its gate is delivered instead
        GATE    6, CODE0, 0x0e
        TRY
        ud2
        TRIED
        mov     dword [check], 5
        cmp     byte [trap_vector], 11
        jne     fail
        GATE    6, CODE0, 0x8e

        ; the same with a page fault first
        mov     edi, TABLES
        mov     ecx, 1024
        xor     eax, eax
        rep     stosd
        mov     dword [TABLES], TABLES + 0x1000 | 3
        mov     edi, TABLES + 0x1000
        mov     eax, 3
.map:   stosd
        add     eax, 4096
        cmp     eax, 0x400000
        jb      .map
        mov     eax, TABLES
        mov     cr3, eax
        mov     [tss_double + 0x1c], eax
        mov     [tss + 0x1c], eax               ; a switch reads CR3 and does not save it
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        GATE    PF, CODE0, 0x0e
        TRY
        mov     al, [0x500000]
        TRIED
        EXPECT_DOUBLE 6
        GATE    PF, CODE0, 0x8e
        ; a stack that is not mapped: #PF after #PF
        TRY
        mov     esp, 0x500000
        push    eax
        TRIED
        EXPECT_DOUBLE 7
        mov     eax, cr2
        cmp     eax, 0x500000 - 4
        CHECK   8, e
        ; a #GP on that stack: the page fault that its delivery meets is delivered for itself, and only the
        ; next one, met then, makes a double fault
        TRY
        mov     esp, 0x500000
        mov     ax, 0x1000
        mov     ds, ax
        TRIED
        EXPECT_DOUBLE 9
        PASS

; The double fault's task. The first task's TSS says where it stood.
double: pop     dword [trap_error]
        mov     byte [trap_vector], 8
        mov     eax, [trap_resume]
        mov     [tss + 0x20], eax
        mov     eax, [trap_stack]
        mov     [tss + 0x38], eax
        mov     dword [tss + 0x54], DATA0
        iretd
        jmp     double
        GUEST_END
