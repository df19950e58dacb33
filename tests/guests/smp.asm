; Several CPUs (-smp 2 and up): INIT and start-up IPIs, LOCKed operations of every kind from all CPUs at once, aligned and
; across lines and pages, spinlocks, the order of stores, code that one CPU rewrites while others run it, TLB shootdown by
; IPI, A and D bits set by many, IPIs by every kind of destination, NMIs, HLT, INIT again, x2APIC. The last word is an
; application processor's.
%include "guest.inc"

APIC        equ 0xfee00000
APIC_ID     equ APIC + 0x20
EOI         equ APIC + 0xb0
LDR         equ APIC + 0xd0
DFR         equ APIC + 0xe0
SVR         equ APIC + 0xf0
ICR         equ APIC + 0x300
ICR_HIGH    equ APIC + 0x310
X2_EOI      equ 0x80b
X2_ICR      equ 0x830

LOWEST      equ 0x100           ; delivery modes
TO_NMI      equ 0x400
TO_INIT     equ 0x500
TO_START    equ 0x600
LOGICAL     equ 0x800
ASSERT      equ 0x4000
OTHERS      equ 0xc0000
ALL         equ 0x80000

PING        equ 0x31
FLUSH       equ 0x32
RUN         equ 0x33
WAKE        equ 0x34
SPURIOUS    equ 0x3f

TRAMPOLINE  equ 0x10000
STACKS      equ 0x400000        ; 4 KiB for each CPU; where ESP is says which one this is
CODE        equ 0x310000
CODE_SPLIT  equ 0x312ffd        ; one instruction over the end of a page
SPLIT       equ 0x320000        ; memory around the end of a page
FRAMES      equ 0x330000        ; two pages, told apart by their first dword
VICTIMS     equ 0x800000        ; linear: mapped by pages of 4 KiB
PAGES       equ TABLES + 0x1000 ; the table for them
P           equ 1
W           equ 2
A           equ 0x20
D           equ 0x40
LARGE       equ 0x80

ROUNDS      equ 2000
FEW         equ 40              ; where all wait for each other

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

; Number, condition that must hold: like CHECK, on any CPU.
%macro VERIFY 2
        j%+2    %%good
        mov     dword [check], %1
        jmp     fail
%%good:
%endmacro

; This CPU's number, into a register.
%macro ME 1
        mov     %1, esp
        sub     %1, STACKS
        shr     %1, 12
%endmacro

; Spins until the condition holds of a comparison.
%macro UNTIL 3                  ; left, right, condition
%%wait: pause
        cmp     %1, %2
        j%-3    %%wait
%endmacro

; Runs a function on all CPUs; goes on when all have come back.
%macro EVERYBODY 1
        mov     eax, %1
        call    everybody
%endmacro

; check number, dword, factor: it is as often this as there are CPUs and rounds
%macro TOTAL 3
        mov     eax, [cpus]
        imul    eax, ROUNDS
        imul    eax, %3
        cmp     eax, %2
        VERIFY  %1, e
%endmacro

; What is done this many times, with ESI as the counter
%macro REPEAT 1
        mov     esi, %1
%%again:
%define AGAIN %%again
%endmacro
%macro REPEATED 0
        dec     esi
        jnz     AGAIN
%endmacro

start32:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        HANDLER 2, on_nmi
        HANDLER PING, on_ping
        HANDLER FLUSH, on_flush
        HANDLER RUN, on_run
        HANDLER WAKE, on_wake
        HANDLER SPURIOUS, on_spurious
        mov     esp, STACKS + 0x1000 - 16
        mov     edi, ids
        mov     ecx, (shared_end - ids) / 4
        xor     eax, eax
        rep     stosd
        mov     al, 0x5f        ; CMOS: how many CPUs there are, less one
        out     0x70, al
        in      al, 0x71
        movzx   eax, al
        inc     eax
        mov     [cpus], eax
        cmp     eax, 1
        VERIFY  1, a
        mov     dword [SVR], 0x100 | SPURIOUS
        mov     eax, [APIC_ID]
        shr     eax, 24
        mov     [ids], eax

        mov     esi, trampoline
        mov     edi, TRAMPOLINE
        mov     ecx, trampoline_end - trampoline
        rep     movsb
        mov     dword [ICR], OTHERS | ASSERT | TO_INIT
        call    delay
        mov     dword [ICR], OTHERS | ASSERT | TO_START | TRAMPOLINE >> 12
        mov     eax, [cpus]
        UNTIL   [ready], eax, e

        EVERYBODY counting
        TOTAL   10, [count_inc], 1
        TOTAL   11, [count_xadd], 2
        TOTAL   12, [count_sub], -5
        TOTAL   13, [count_adc], 2
        TOTAL   14, [count_sbb], -1
        TOTAL   15, [count_exchange], 1
        movzx   ebx, word [count_add + 2]
        mov     eax, [cpus]
        imul    eax, ROUNDS * 3
        cmp     ax, bx
        VERIFY  16, e
        cmp     word [count_add], 0     ; the neighbours have not been touched
        VERIFY  17, e
        mov     eax, [cpus]
        imul    eax, -ROUNDS
        cmp     al, [count_dec]
        VERIFY  18, e
        mov     eax, [cpus]
        imul    eax, ROUNDS
        cmp     al, [count_byte]
        VERIFY  19, e
        mov     edx, 0x80000001
        mul     edx
        cmp     eax, [count_wide]
        VERIFY  20, e
        cmp     edx, [count_wide + 4]
        VERIFY  21, e

        EVERYBODY flipping
        mov     edi, bitmap
        mov     ecx, 9
        xor     eax, eax
        repe    scasd
        VERIFY  25, e

        EVERYBODY mixing
        mov     eax, [cpus]
        dec     eax
        imul    eax, ROUNDS * 0x100
        mov     al, 0x5a
        cmp     eax, [mixed]
        VERIFY  26, e

        EVERYBODY guarding
        TOTAL   28, [guarded], 1
        TOTAL   29, [guarded + 64], 1

        EVERYBODY splitting
        TOTAL   30, [SPLIT - 2], 1
        TOTAL   31, [SPLIT + 62], 3
        TOTAL   32, [SPLIT - 0x1001], 1
        cmp     dword [SPLIT + 0xffc], 0
        VERIFY  33, e

        EVERYBODY swapping      ; whatever was swapped, nothing was lost and nothing doubled
        mov     eax, [cpus]
        lea     edx, [eax + 1]
        imul    eax, edx
        shr     eax, 1
        mov     edx, [swapped]
        add     edx, [swap]
        cmp     eax, edx
        VERIFY  34, e
        mov     edx, [swapped_split]
        add     edx, [SPLIT + 0x1ffe]
        cmp     eax, edx
        VERIFY  35, e

        EVERYBODY telling
        EVERYBODY taking_turns
        cmp     dword [peterson], 2 * ROUNDS
        VERIFY  38, e

        mov     byte [CODE], 0xb8       ; mov eax, imm32; ret
        mov     byte [CODE + 5], 0xc3
        mov     byte [CODE_SPLIT], 0xb8
        mov     byte [CODE_SPLIT + 5], 0xc3
        EVERYBODY rewriting
        mov     dword [CODE + 1], 0
        mov     eax, 0x40000000
        cpuid
        cmp     ebx, 'TCGT'     ; may run what it has translated before for ever
        je      .not_hot
        cmp     ebx, 'KVMK'     ; the lab's runs on TCG
        je      .not_hot
        EVERYBODY rewriting_hot
.not_hot:
        EVERYBODY rewriting_by_ipi

        call    tables_make
        EVERYBODY paging_on
        EVERYBODY shooting
        EVERYBODY dirtying

        EVERYBODY ringing
        cmp     dword [cpus], 8
        ja      .no_flat
        EVERYBODY flat
        EVERYBODY ringing_logical
        call    lowest
.no_flat:
        cmp     dword [cpus], 60
        ja      .no_cluster
        EVERYBODY cluster
        EVERYBODY ringing_logical
.no_cluster:
        EVERYBODY shorthands
        EVERYBODY nmis
        EVERYBODY nmis_halted
        EVERYBODY halting
        call    again

        mov     eax, 1
        cpuid
        test    ecx, 1 << 21
        jz      .no_x2
        EVERYBODY x2_on
        EVERYBODY ringing
        EVERYBODY x2_cluster
        EVERYBODY ringing_logical
.no_x2: mov     eax, finish
        jmp     everybody

; EAX: what all do. The others find it in `work` when `turn` has changed.
everybody:
        mov     [work], eax
        mov     dword [done], 1
        lock inc dword [turn]
        call    eax
        cli
        mov     eax, [cpus]
        UNTIL   [done], eax, e
        ret

; Until all have come here. Keeps ESI, EDI and EBP.
barrier:
        mov     eax, 1
        lock xadd [tickets], eax
        xor     edx, edx
        div     dword [cpus]
        inc     eax
        imul    eax, [cpus]
        UNTIL   [tickets], eax, ae
        ret

delay:  mov     ecx, 20000
.again: in      al, 0x80
        loop    .again
        ret

; ---- how an application processor begins: at TRAMPOLINE, in real mode
        bits    16
trampoline:
        cli
        xor     ax, ax
        mov     ds, ax
        o32     lgdt [gdtr]
        o32     lidt [idtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword CODE0:other
trampoline_end:
        bits    32

other:  mov     ax, DATA0
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        mov     ss, ax
        mov     eax, [APIC_ID]
        shr     eax, 24
        cmp     dword [starting_again], 0
        jne     other_again
        mov     ebx, 1
        lock xadd [arrived], ebx
        mov     [ids + 4 * ebx], eax
        mov     esp, ebx
        shl     esp, 12
        add     esp, STACKS + 0x1000 - 16
        mov     dword [SVR], 0x100 | SPURIOUS
        xor     ebp, ebp
        lock inc dword [ready]
other_idle:
        pause
        mov     eax, [turn]
        cmp     eax, ebp
        je      other_idle
        mov     ebp, eax
        call    [work]
        cli
        lock inc dword [done]
        jmp     other_idle

%include "smp-memory.inc"
%include "smp-messages.inc"

; ---- INIT and start-up again, of one that runs and of one that sleeps

again:  mov     dword [starting_again], 1
        mov     esi, 20
.each:  mov     eax, esi
        xor     edx, edx
        mov     ecx, [cpus]
        dec     ecx
        div     ecx
        inc     edx             ; 1 to cpus - 1
        mov     [restarted], edx
        mov     eax, [ids + 4 * edx]
        shl     eax, 24
        mov     edi, eax
        mov     dword [sleeping], 0
        mov     dword [work], .sleep
        mov     dword [done], 1
        lock inc dword [turn]
        mov     eax, [cpus]
        dec     eax
        UNTIL   [done], eax, e
        test    esi, 1
        jz      .init
        UNTIL   dword [sleeping], 1, e
.init:  mov     [ICR_HIGH], edi
        mov     dword [ICR], ASSERT | TO_INIT
        mov     ecx, 1000
.let:   in      al, 0x80
        loop    .let
        mov     [ICR_HIGH], edi
        mov     dword [ICR], ASSERT | TO_START | TRAMPOLINE >> 12
        lea     eax, [esi - 21]
        neg     eax
        UNTIL   [returned], eax, e
        dec     esi
        jnz     .each
        mov     dword [starting_again], 0
        ret
; The one that is meant never comes back.
.sleep: ME      ebx
        cmp     ebx, [restarted]
        jne     .end
        mov     dword [sleeping], 1
        test    byte [turn], 1
        jz      .spin
        cli
        hlt
.spin:  jmp     .spin
.end:   ret

; EAX: its id. It has paging and the APIC's software switch off.
other_again:
        xor     ebx, ebx
.find:  cmp     [ids + 4 * ebx], eax
        je      .found
        inc     ebx
        jmp     .find
.found: mov     esp, ebx
        shl     esp, 12
        add     esp, STACKS + 0x1000 - 16
        mov     eax, cr4
        test    eax, eax
        VERIFY  80, z
        cmp     ebx, [restarted]
        VERIFY  81, e
        test    dword [SVR], 0x100
        VERIFY  82, z
        mov     dword [SVR], 0x100 | SPURIOUS
        mov     ebp, [turn]
        lock inc dword [returned]
        jmp     other_idle

finish: ME      ebx
        cmp     ebx, 1
        je      .last
        cli
        hlt
.last:  PASS

; What they share, a line for each thing that they fight for.
        align   64
cpus    dd      0
arrived dd      1
ready   dd      1
work    dd      0
x2      dd      0
starting_again  dd 0
restarted       dd 0
        align   64
turn    dd      0
        align   64
done    dd      0
tickets dd      0
        align   64
count_inc       dd 0
count_add       dd 0
count_xadd      dd 0
count_sub       dd 0
count_adc       dd 0
count_sbb       dd 0
count_exchange  dd 0
count_not       dd 0
        align   8
count_wide      dq 0
count_dec       db 0
count_byte      db 0
        align   64
bitmap  times   9 dd 0
        align   64
mixed   dd      0
        align   64
guard   db      0
        align   64
guarded times   32 dd 0
swap    dd      0
swapped dd      0
swapped_split   dd 0
        align   64
told_data       times 16 dd 0
told_flag       times 16 dd 0
wanting dd      0, 0
whose   dd      0
peterson        dd 0
        align   64
code_turn       dd 0
tlb_turn        dd 0
acks    dd      0
expected        dd 0
answers dd      1
was     dd      0
lowest_over     dd 0
nmi_turn        dd 0
halted  dd      0
ball    dd      0
returned        dd 0
sleeping        dd 0

; Too large for the image
ids     equ     0x40000         ; a dword for each CPU
logical equ     0x40400
got     equ     0x41000         ; a line for each
nmis_got        equ 0x45000
shared_end      equ 0x49000
        GUEST_END
