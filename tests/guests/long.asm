; Long mode: PAE paging with NX before it, then 4-level paging with pages of 4 KiB, 2 MiB and 1 GiB, NX, SMEP and SMAP,
; reserved bits, addresses that are not canonical, 64-bit gates with IST, ring 3 and the ways there and back, compatibility
; mode, SYSCALL and SYSRET, SWAPGS, call gates.
%include "guest.inc"
%include "long.inc"
%define GATE64_ENTRY start64.gate_entry

; QEMU's TCG leaves bit 0 of a reserved bit's error code clear; hardware sets it.
%macro BIT_0_AS_HARDWARE 0
        or      dword [trap_error], 1
%endmacro

start32:
        call    tables_make

        ; PAE
        mov     eax, cr4
        or      eax, 1 << 5
        mov     cr4, eax
        mov     eax, PAE_PDPT
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80010000 ; PG and WP
        mov     cr0, eax
        mov     dword [VICTIM], 0x11111111
        mov     eax, [ENTRY]
        and     eax, A | D
        cmp     eax, A | D
        CHECK   1, e
        test    dword [PD + 8], A
        CHECK   1, nz
        MAP     P | W, NX_HIGH          ; reserved while NXE is clear
        TRY
        mov     al, [VICTIM]
        TRIED
        BIT_0_AS_HARDWARE
        EXPECT  2, PF, 9
        SET_MSR EFER, 0, 1 << 11
        mov     byte [VICTIM], 0xc3
        TRY
        mov     eax, VICTIM
        call    eax
        TRIED
        EXPECT  3, PF, 0x11
        mov     eax, cr2
        cmp     eax, VICTIM
        CHECK   3, e
        MAP     P | W
        mov     eax, VICTIM
        call    eax
        MAP     P | W, 1 << 20          ; bit 52 is reserved with PAE, ignored with four levels
        TRY
        mov     al, [VICTIM]
        TRIED
        BIT_0_AS_HARDWARE
        EXPECT  4, PF, 9
        TRY
        mov     eax, [0x40000000]
        TRIED
        EXPECT  5, PF, 0
        MAP     P | W | U

        ; the pointers are read when CR3 is loaded
        mov     eax, [PAE_PDPT]
        mov     [PAE_PDPT + 8], eax
        mov     eax, cr3
        mov     cr3, eax
        mov     eax, [VICTIM]
        cmp     eax, [VICTIM + 0x40000000]
        CHECK   6, e

        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        jmp     long_enter

        bits    64
start64:
        ; pages
        mov     rax, HIGH + VICTIM
        mov     dword [VICTIM], 0x22222222
        cmp     dword [rax], 0x22222222
        CHECK64 10, e
        mov     eax, [PDPT_HIGH]
        and     eax, A | D
        cmp     eax, A
        CHECK64 11, e
        mov     rax, HIGH + VICTIM
        mov     [rax], eax
        mov     eax, [PDPT_HIGH]
        and     eax, A | D
        cmp     eax, A | D
        CHECK64 12, e
        MAP     0
        TRY64
        mov     al, [VICTIM + 0x123]
        TRIED64
        AT64    13, 0
        TRY64
        mov     rbx, HIGH + 0x40000123  ; beyond the one large page
        mov     [rbx], al
        TRIED64
        EXPECT64 14, PF, 2
        mov     rax, cr2
        cmp     rax, rbx
        CHECK64 14, e
        MAP     P
        TRY64
        mov     [VICTIM + 0x123], al
        TRIED64
        AT64    15, 3
        MAP     P | W, NX_HIGH
        TRY64
        mov     eax, VICTIM + 0x123
        call    rax
        TRIED64
        AT64    16, 0x11
        MAP     P | W, 1 << (45 - 32)
        TRY64
        mov     [VICTIM + 0x123], al
        TRIED64
        BIT_0_AS_HARDWARE
        AT64    17, 0x0b
        MAP     P | W, 1 << (52 - 32)
        TRY64
        mov     [VICTIM + 0x123], al
        TRIED64
        EXPECT64 18, NO_FAULT, 0
        mov     dword [PD + 16], 0 | P | W | LARGE | 1 << 13    ; reserved in a 2 MiB page: bits 20 to 13
        TRY64
        mov     al, [0x400000]
        TRIED64
        BIT_0_AS_HARDWARE
        EXPECT64 18, PF, 9
        mov     dword [PD + 16], 0 | P | W | LARGE
        mov     eax, [0x400000 + long_stack]
        cmp     eax, [long_stack]
        CHECK64 18, e
        MAP     P | W
        TRY64
        RING3_64 .ring3_page, CODE3_64
.ring3_page:
        mov     al, [VICTIM + 0x123]
        TRIED64
        AT64    19, 5

        ; canonical
        mov     rbx, 0x800000000000
        TRY64
        mov     al, [rbx]
        TRIED64
        EXPECT64 20, GP, 0
        mov     rbx, 0xffff7fffffffffff
        TRY64
        mov     [rbx], al
        TRIED64
        EXPECT64 21, GP, 0
        mov     rbx, 0x7ffffffff000     ; the last page below: absent, but canonical
        TRY64
        mov     al, [rbx]
        TRIED64
        EXPECT64 22, PF, 0

        ; CR8
        mov     rax, cr8
        mov     edx, 5
        mov     cr8, rdx
        mov     rbx, cr8
        mov     cr8, rax
        cmp     ebx, 5
        CHECK64 25, e

        ; segments: task gates, LDTs of 16 bytes
        TRY64
        jmp     far dword [far_task]
        TRIED64
        EXPECT64 27, GP, TASK64
        mov     eax, LDT64
        lldt    ax
        sldt    eax
        cmp     eax, LDT64
        CHECK64 28, e
        xor     eax, eax
        mov     ss, eax                 ; null is for rings 0 to 2
        push    rax
        pop     rax
        mov     eax, DATA0
        mov     ss, eax

        ; the frame: aligned, SS and RSP always there
        lea     rbx, [rsp - 5]
        xchg    rbx, rsp
        TRY64
        ud2
        TRIED64
        xchg    rbx, rsp
        EXPECT64 30, UD, 0
        mov     rax, [long_frame]
        add     rax, 40
        test    al, 15
        CHECK64 30, z
        cmp     [rax - 16], rbx
        CHECK64 30, e
        cmp     qword [rax - 8], DATA0
        CHECK64 30, e

        ; IST
        mov     byte [IDT64 + UD * 16 + 4], 1
        TRY64
        ud2
        TRIED64
        EXPECT64 31, UD, 0
        mov     byte [IDT64 + UD * 16 + 4], 0
        cmp     qword [long_frame], IST_STACK - 40
        CHECK64 31, e

        ; ring 3 by IRETQ, back by an exception: SS is null then
        TRY64
        RING3_64 .ring3, CODE3_64
.ring3: mov     ax, cs
        mov     [seen], ax
        ud2
        TRIED64
        EXPECT64 40, UD, 0
        cmp     word [seen], CODE3_64
        CHECK64 40, e
        cmp     dword [trap_cs], CODE3_64
        CHECK64 40, e
        cmp     word [trap_ss], 0
        CHECK64 41, e
        cmp     qword [long_frame], STACK0 - 40
        CHECK64 41, e
        mov     eax, DATA0
        mov     ss, eax

        ; SYSCALL and SYSRET
        SET_MSR STAR, COMPAT3 << 16 | CODE64, 0
        SET_MSR LSTAR, 0, .called
        SET_MSR CSTAR, 0, .called_compat
        SET_MSR FMASK, 0, 1 << 10 | 1 << 9
        TRY64
        mov     rcx, .user
        mov     r11d, 1 << 10 | 2       ; DF
        mov     rsp, STACK3
        o64 sysret
.user:  mov     ax, cs
        mov     [seen], ax
        mov     ax, ss
        mov     [seen + 2], ax
        syscall
.back:  ud2
.called:
        mov     [saved], rcx
        mov     [saved + 8], r11
        pushfq
        pop     qword [saved + 16]
        mov     ax, cs
        mov     [seen + 4], ax
        mov     ax, ss
        mov     [seen + 6], ax
        ud2
        TRIED64
        cld
        EXPECT64 50, UD, 0
        cmp     qword [saved], .back
        CHECK64 51, e
        mov     eax, [saved + 8]
        and     eax, 0x600
        cmp     eax, 0x400
        CHECK64 52, e
        test    dword [saved + 16], 0x600
        CHECK64 53, z
        cmp     dword [seen], CODE3_64 | DATA3_64 << 16
        CHECK64 54, e
        cmp     dword [seen + 4], CODE64 | DATA_CALL << 16
        CHECK64 55, e
        mov     eax, DATA0
        mov     ss, eax

        ; compatibility mode
        TRY64
        mov     ecx, .compat
        mov     r11d, 2
        mov     esp, STACK3
        o32 sysret
        bits    32
.compat:
        mov     eax, DATA3_64           ; going out to ring 3 made DS null
        mov     ds, eax
        mov     eax, 0x12345678
        inc     eax                     ; a prefix in 64-bit code
        mov     [seen], eax
        push    eax
        mov     [seen + 4], esp
        syscall
        ud2
        bits    64
.called_compat:
        ud2
        TRIED64
        EXPECT64 60, UD, 0
        cmp     dword [seen], 0x12345679
        CHECK64 61, e
        cmp     dword [seen + 4], STACK3 - 4
        CHECK64 62, e
        cmp     qword [trap_rip], .called_compat
        CHECK64 63, e
        cmp     dword [trap_cs], CODE64
        CHECK64 64, e
        mov     eax, DATA0
        mov     ss, eax
        TRY64
        RING3_64 .compat_fault, COMPAT3
        bits    32
.compat_fault:
        db      0x41, 0x0f, 0x0b        ; INC ECX; UD2
        bits    64
        TRIED64
        EXPECT64 65, UD, 0
        cmp     qword [trap_rip], .compat_fault + 1
        CHECK64 66, e
        mov     eax, DATA0
        mov     ss, eax

        ; a call gate to ring 0: SS, RSP, CS and RIP lie on the stack of the TSS
        TRY64
        RING3_64 .caller, CODE3_64
.caller:
        call    far dword [far_gate]
.returned:
        ud2
.gate_entry:
        mov     [seen + 8], rsp
        mov     rax, [rsp]
        mov     [saved], rax
        mov     rax, [rsp + 24]
        mov     [saved + 8], rax
        inc     dword [counted]
        retfq
        TRIED64
        EXPECT64 70, UD, 0
        cmp     qword [seen + 8], STACK0 - 32
        CHECK64 71, e
        cmp     qword [saved], .returned
        CHECK64 72, e
        cmp     qword [saved + 8], DATA3_64
        CHECK64 73, e
        cmp     qword [trap_rip], .returned
        CHECK64 74, e
        cmp     dword [trap_cs], CODE3_64
        CHECK64 74, e
        mov     eax, DATA0
        mov     ss, eax

        ; FS and GS
        SET_MSR GS_BASE, 0xffff8000, VICTIM
        SET_MSR KERNEL_GS, 0, VICTIM + 0x100
        MAP     P | W | U
        mov     dword [VICTIM + 0x10], 0x33333333
        mov     dword [VICTIM + 0x110], 0x44444444
        cmp     dword [gs:0x10], 0x33333333
        CHECK64 80, e
        swapgs
        cmp     dword [gs:0x10], 0x44444444
        CHECK64 81, e
        mov     ecx, KERNEL_GS
        rdmsr
        cmp     edx, 0xffff8000
        CHECK64 82, e
        TRY64
        RING3_64 .swap, CODE3_64
.swap:  swapgs
        TRIED64
        EXPECT64 84, GP, 0
        mov     eax, DATA0
        mov     ss, eax

        ; SMEP and SMAP, where CPUID tells of them: the code here lies in user pages, so those become the system's
        mov     eax, 7
        xor     ecx, ecx
        cpuid
        and     ebx, 1 << 7 | 1 << 20
        cmp     ebx, 1 << 7 | 1 << 20
        jne     .end
        mov     dword [PD], 0 | P | W | LARGE
        mov     rax, cr3
        mov     cr3, rax
        mov     rax, cr4
        or      rax, 1 << 20 | 1 << 21
        mov     cr4, rax
        MAP     P | W | U
        TRY64
        mov     eax, VICTIM + 0x123
        call    rax
        TRIED64
        AT64    90, 0x11
        TRY64
        mov     al, [VICTIM + 0x123]
        TRIED64
        AT64    91, 1
        TRY64
        mov     [VICTIM + 0x123], al
        TRIED64
        AT64    92, 3
        stac
        TRY64
        mov     [VICTIM + 0x123], al
        mov     al, [VICTIM + 0x123]
        TRIED64
        EXPECT64 93, NO_FAULT, 0
        clac
        TRY64
        mov     al, [VICTIM + 0x123]
        TRIED64
        AT64    94, 1
.end:   PASS64

        align   8
saved       dq  0, 0, 0
seen        dq  0, 0, 0
counted     dq  0
far_task    dd  0
            dw  TASK64
far_gate    dd  0
            dw  GATE64
        LONG_END
