; The local APIC and the IOAPIC: IPIs to itself, priorities, the timer, NMI, edges (PIT) and levels (RTC) through the
; redirection table, the 8259A through LINT0, and, where the CPU has them, TSC deadlines and x2APIC.
%include "guest.inc"

APIC        equ 0xfee00000
APIC_ID     equ APIC + 0x20
VERSION     equ APIC + 0x30
TPR         equ APIC + 0x80
PPR         equ APIC + 0xa0
EOI         equ APIC + 0xb0
SVR         equ APIC + 0xf0
ISR1        equ APIC + 0x110    ; vectors 20h to 3fh
IRR1        equ APIC + 0x210
ICR         equ APIC + 0x300
ICR_HIGH    equ APIC + 0x310
LVT_TIMER   equ APIC + 0x320
LVT_LINT0   equ APIC + 0x350
INITIAL     equ APIC + 0x380
COUNT       equ APIC + 0x390
DIVIDE      equ APIC + 0x3e0
MASKED      equ 1 << 16
PERIODIC    equ 1 << 17
DEADLINE    equ 2 << 17
SELF        equ 1 << 18

IOREGSEL    equ 0xfec00000
IOWIN       equ 0xfec00010
LEVEL       equ 1 << 15
REMOTE_IRR  equ 1 << 14
PIN_TIMER   equ 2
PIN_RTC     equ 8

LOW         equ 0x21
HIGH        equ 0x31
TIMER       equ 0x32
EDGE        equ 0x33
LEVELLED    equ 0x34
EXTERNAL    equ 0x28            ; IRQ0 of the 8259A
SPURIOUS    equ 0x3f

; vector, label
%macro HANDLER 2
        mov     eax, %2
        mov     edx, eax
        and     edx, 0xffff
        or      edx, CODE0 << 16
        mov     [idt + %1 * 8], edx
        and     eax, 0xffff0000
        or      eax, 0x8e00
        mov     [idt + %1 * 8 + 4], eax
%endmacro

; register of the IOAPIC, value
%macro REDIRECT 2
        mov     dword [IOREGSEL], %1
        mov     dword [IOWIN], %2
%endmacro

; Time for an interrupt to come: emulators look between blocks.
%macro SETTLE 0
        mov     ecx, 1000
%%again:
        loop    %%again
%endmacro

; Halts until the counter has reached the number.
%macro AWAIT 2
%%wait: cli
        cmp     dword [%1], %2
        jae     %%there
        sti
        hlt
        jmp     %%wait
%%there:
%endmacro

start32:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        HANDLER 2, on_nmi
        HANDLER LOW, on_low
        HANDLER HIGH, on_high
        HANDLER TIMER, on_timer
        HANDLER EDGE, on_edge
        HANDLER LEVELLED, on_level
        HANDLER EXTERNAL, on_external
        HANDLER SPURIOUS, on_spurious

        mov     eax, 1
        cpuid
        mov     [features], ecx
        test    edx, 1 << 9
        CHECK   1, nz
        mov     ecx, 0x1b
        rdmsr
        cmp     eax, 0xfee00900
        CHECK   2, e
        mov     eax, [VERSION]
        cmp     al, 0x14
        CHECK   3, e
        mov     dword [SVR], 0x100 | SPURIOUS
        mov     dword [TPR], 0

        ; IPIs to itself wait for IF, and come by priority
        mov     dword [ICR], SELF | LOW
        mov     dword [ICR], SELF | HIGH
        mov     eax, [IRR1]
        cmp     eax, 1 << (LOW - 0x20) | 1 << (HIGH - 0x20)
        CHECK   4, e
        cmp     dword [order], 0
        CHECK   5, e
        sti
        SETTLE
        cli
        cmp     dword [order], HIGH << 8 | LOW
        CHECK   6, e
        cmp     dword [seen_isr], 1 << (HIGH - 0x20)
        CHECK   7, e
        cmp     dword [seen_ppr], HIGH & 0xf0
        CHECK   8, e
        cmp     dword [ISR1], 0
        CHECK   9, e

        ; TPR holds its class and those below
        mov     dword [order], 0
        mov     dword [TPR], 0x20
        mov     dword [ICR], SELF | LOW
        sti
        SETTLE
        cmp     dword [order], 0
        CHECK   10, e
        mov     dword [TPR], 0x10
        SETTLE
        cli
        cmp     dword [order], LOW
        CHECK   11, e
        mov     dword [TPR], 0

        ; NMI by destination
        mov     eax, [APIC_ID]
        mov     [ICR_HIGH], eax
        mov     dword [ICR], 0x4400
        SETTLE
        cmp     dword [nmis], 1
        CHECK   12, e

        ; the timer: once, then again and again
        mov     dword [DIVIDE], 3
        mov     dword [LVT_TIMER], TIMER
        mov     dword [INITIAL], 100000
        AWAIT   timers, 1
        cmp     dword [COUNT], 0
        CHECK   13, e
        mov     dword [LVT_TIMER], TIMER | PERIODIC
        mov     dword [INITIAL], 100000
        AWAIT   timers, 5
        mov     eax, [COUNT]
        cmp     eax, 100000
        CHECK   14, be
        mov     dword [INITIAL], 0
        mov     dword [LVT_TIMER], MASKED

        ; the IOAPIC: edges of the PIT at 100 Hz
        mov     dword [IOREGSEL], 1
        mov     eax, [IOWIN]
        shr     eax, 16
        cmp     al, 23
        CHECK   15, e
        REDIRECT 0x11 + 2 * PIN_TIMER, 0
        mov     eax, [APIC_ID]
        mov     [IOWIN], eax
        REDIRECT 0x10 + 2 * PIN_TIMER, EDGE
        mov     al, 0x34
        out     0x43, al
        mov     al, 11932 & 0xff
        out     0x40, al
        mov     al, 11932 >> 8
        out     0x40, al
        AWAIT   edges, 3
        REDIRECT 0x10 + 2 * PIN_TIMER, EDGE | MASKED

        ; levels: the RTC's line stays until its register C is read, so the first EOI brings the interrupt again
        mov     al, 0x0c
        out     0x70, al
        in      al, 0x71
        mov     eax, [APIC_ID]
        REDIRECT 0x11 + 2 * PIN_RTC, eax
        REDIRECT 0x10 + 2 * PIN_RTC, LEVELLED | LEVEL
        mov     al, 0x0a
        out     0x70, al
        mov     al, 0x26
        out     0x71, al
        mov     al, 0x0b
        out     0x70, al
        in      al, 0x71
        or      al, 0x40
        mov     ah, al
        mov     al, 0x0b
        out     0x70, al
        mov     al, ah
        out     0x71, al
        AWAIT   levels, 2
        mov     eax, [seen_entry]
        test    eax, REMOTE_IRR
        CHECK   16, nz
        mov     dword [IOREGSEL], 0x10 + 2 * PIN_RTC
        test    dword [IOWIN], REMOTE_IRR
        CHECK   17, z

        ; the 8259A through LINT0
        mov     al, 0x11
        out     0x20, al
        mov     al, EXTERNAL
        out     0x21, al
        mov     al, 4
        out     0x21, al
        mov     al, 1
        out     0x21, al
        mov     dword [LVT_LINT0], 0x700
        mov     al, 0xfe
        out     0x21, al
        AWAIT   externals, 2
        mov     dword [LVT_LINT0], 0x700 | MASKED
        mov     eax, [externals]
        mov     [was], eax
        sti
        mov     dword [LVT_TIMER], TIMER
        mov     dword [timers], 0
        mov     dword [INITIAL], 2000000
        AWAIT   timers, 1
        mov     eax, [externals]
        cmp     eax, [was]
        CHECK   18, e
        mov     al, 0xff
        out     0x21, al

        test    dword [features], 1 << 24
        jz      .no_deadline
        mov     dword [LVT_TIMER], TIMER | DEADLINE
        mov     dword [timers], 0
        rdtsc
        add     eax, 1000000
        adc     edx, 0
        mov     ecx, 0x6e0
        wrmsr
        AWAIT   timers, 1
        mov     ecx, 0x6e0
        rdmsr
        or      eax, edx
        CHECK   19, z
.no_deadline:
        test    dword [features], 1 << 21
        jz      .no_x2
        mov     ecx, 0x1b
        rdmsr
        or      eax, 1 << 10
        wrmsr
        mov     ecx, 0x803
        rdmsr
        cmp     al, 0x14
        CHECK   20, e
        mov     dword [order], 0
        mov     ecx, 0x83f
        mov     eax, LOW
        xor     edx, edx
        wrmsr
        mov     ecx, 0x821
        rdmsr
        cmp     eax, 1 << (LOW - 0x20)
        CHECK   21, e
        HANDLER LOW, on_low_x2
        sti
        SETTLE
        cli
        cmp     dword [order], LOW
        CHECK   22, e
        TRY
        mov     ecx, 0x802      ; the id
        xor     eax, eax
        xor     edx, edx
        wrmsr
        TRIED
        EXPECT  23, GP, 0
.no_x2: PASS

; vector, into `order`
%macro NOTE 1
        push    eax
        mov     eax, [order]
        shl     eax, 8
        mov     al, %1
        mov     [order], eax
        pop     eax
%endmacro

on_high:
        push    dword [ISR1]
        pop     dword [seen_isr]
        push    dword [PPR]
        pop     dword [seen_ppr]
        NOTE    HIGH
        mov     dword [EOI], 0
        iretd
on_low: NOTE    LOW
        mov     dword [EOI], 0
        iretd
on_low_x2:
        NOTE    LOW
        pushad
        mov     ecx, 0x80b
        xor     eax, eax
        xor     edx, edx
        wrmsr
        popad
        iretd
on_nmi: inc     dword [nmis]
        iretd
on_timer:
        inc     dword [timers]
        mov     dword [EOI], 0
        iretd
on_edge:
        inc     dword [edges]
        mov     dword [EOI], 0
        iretd
on_level:
        push    eax
        inc     dword [levels]
        mov     dword [IOREGSEL], 0x10 + 2 * PIN_RTC
        mov     eax, [IOWIN]
        mov     [seen_entry], eax
        cmp     dword [levels], 2
        jb      .end
        mov     al, 0x0b        ; no more of it
        out     0x70, al
        mov     al, 2
        out     0x71, al
        mov     al, 0x0c
        out     0x70, al
        in      al, 0x71
.end:   mov     dword [EOI], 0
        pop     eax
        iretd
on_external:
        push    eax
        inc     dword [externals]
        mov     al, 0x20
        out     0x20, al
        pop     eax
        iretd
on_spurious:
        iretd

        align   4
features    dd  0
order       dd  0
seen_isr    dd  0
seen_ppr    dd  0
seen_entry  dd  0
nmis        dd  0
timers      dd  0
edges       dd  0
levels      dd  0
externals   dd  0
was         dd  0
        GUEST_END
