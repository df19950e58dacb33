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

; ---- LOCKed arithmetic
counting:
        REPEAT  ROUNDS
        lock inc dword [count_inc]
        lock add word [count_add + 2], 3
        mov     eax, 2
        lock xadd [count_xadd], eax
        lock sub dword [count_sub], 5
        stc
        lock adc dword [count_adc], 1
        stc
        lock sbb dword [count_sbb], 0
        lock dec byte [count_dec]
        lock not dword [count_not]
        mov     eax, [count_exchange]
.exchange:
        lea     edx, [eax + 1]
        lock cmpxchg [count_exchange], edx
        jnz     .exchange
        mov     al, [count_byte]
.byte:  lea     edx, [eax + 1]
        lock cmpxchg [count_byte], dl
        jnz     .byte
        mov     eax, [count_wide]
        mov     edx, [count_wide + 4]
.wide:  mov     ebx, eax
        mov     ecx, edx
        add     ebx, 0x80000001
        adc     ecx, 0
        lock cmpxchg8b [count_wide]
        jnz     .wide
        REPEATED
        ret

; Each has a bit of its own among those of the others.
flipping:
        ME      ebx
        mov     ecx, ebx
        mov     edi, 1
        rol     edi, cl
        REPEAT  ROUNDS
        lock bts [bitmap], ebx
        VERIFY  40, nc
        lock btr [bitmap], ebx
        VERIFY  41, c
        lock btc [bitmap], ebx
        VERIFY  42, nc
        lock bts [bitmap], ebx
        VERIFY  43, c
        lock btc [bitmap], ebx
        VERIFY  44, c
        cmp     ebx, 32
        jae     .next
        lock or [bitmap + 32], edi
        test    [bitmap + 32], edi
        VERIFY  45, nz
        lock xor [bitmap + 32], edi
        test    [bitmap + 32], edi
        VERIFY  46, z
        lock or [bitmap + 32], edi
        not     edi
        lock and [bitmap + 32], edi
        not     edi
.next:  REPEATED
        ret

; Plain stores into one byte of what others add to: neither is lost.
mixing: ME      ebx
        REPEAT  ROUNDS
        test    ebx, ebx
        jz      .plain
        lock add dword [mixed], 0x100
        jmp     .next
.plain: mov     eax, esi
        mov     [mixed], al
        cmp     [mixed], al
        VERIFY  47, e
.next:  REPEATED
        test    ebx, ebx
        jnz     .end
        mov     byte [mixed], 0x5a
.end:   ret

guarding:
        REPEAT  ROUNDS
.try:   mov     al, 1
        xchg    [guard], al
        test    al, al
        jz      .mine
.spin:  pause
        cmp     byte [guard], 0
        jne     .spin
        jmp     .try
.mine:  mov     eax, [guarded]
        cmp     eax, [guarded + 64]
        VERIFY  48, e
        inc     dword [guarded]
        inc     dword [guarded + 64]
        mov     byte [guard], 0
        REPEATED
        ret

; Across a page, across a line, across a page by one byte; and back to nothing
splitting:
        REPEAT  ROUNDS
        lock inc dword [SPLIT - 2]
        mov     eax, 3
        lock xadd [SPLIT + 62], eax
        mov     eax, [SPLIT - 0x1001]
.exchange:
        lea     edx, [eax + 1]
        lock cmpxchg [SPLIT - 0x1001], edx
        jnz     .exchange
        lock add dword [SPLIT + 0xffd], 0x01020304
        lock sub dword [SPLIT + 0xffd], 0x01020304
        REPEATED
        ret

swapping:
        ME      ebx
        inc     ebx
        mov     edx, ebx
        REPEAT  ROUNDS
        xchg    [swap], ebx
        xchg    [SPLIT + 0x1ffe], edx
        REPEATED
        lock add [swapped], ebx
        lock add [swapped_split], edx
        ret

; CPU 0 stores the data and then the flag; the others must not see them the other way round.
telling:
        ME      ebx
        test    ebx, ebx
        jz      .teller
.see:   mov     eax, [told_flag]
        mov     edx, [told_data]
        cmp     edx, eax
        VERIFY  49, ae
        pause
        cmp     eax, ROUNDS
        jb      .see
        ret
.teller:
        xor     esi, esi
.tell:  inc     esi
        mov     [told_data], esi
        mov     [told_flag], esi
        cmp     esi, ROUNDS
        jb      .tell
        ret

; Peterson's lock between CPUs 0 and 1: it needs the fence between its own store and its look at the other's.
taking_turns:
        ME      ebx
        cmp     ebx, 2
        jae     .end
        mov     edi, ebx
        xor     edi, 1
        REPEAT  ROUNDS
        mov     dword [wanting + 4 * ebx], 1
        mov     [whose], edi
        lock or dword [esp], 0
.wait:  cmp     dword [wanting + 4 * edi], 0
        je      .mine
        pause
        cmp     [whose], edi
        je      .wait
.mine:  inc     dword [peterson]
        mov     dword [wanting + 4 * ebx], 0
        REPEATED
.end:   ret

; ---- code that changes. Each in turn is the writer; ESI counts the turns.

; ZF: it is this CPU's turn. Keeps ESI.
my_turn:
        mov     eax, esi
        xor     edx, edx
        div     dword [cpus]
        ME      ebx
        cmp     edx, ebx
        ret

; The others come through CPUID before they run it, as they should.
rewriting:
        REPEAT  FEW
        call    my_turn
        jne     .wait
        mov     [CODE + 1], esi
        mov     [CODE_SPLIT + 1], esi
        mov     [code_turn], esi
.wait:  UNTIL   [code_turn], esi, e
        xor     eax, eax
        cpuid
        mov     eax, CODE
        call    eax
        cmp     eax, esi
        VERIFY  50, e
        mov     eax, CODE_SPLIT
        call    eax
        cmp     eax, esi
        VERIFY  51, e
        call    barrier
        REPEATED
        ret

; The others run it all the time and see the change sooner or later.
rewriting_hot:
        REPEAT  FEW
        call    my_turn
        jne     .run
        mov     ecx, 1000
.let:   loop    .let
        mov     [CODE + 1], esi
.run:   pause
        mov     eax, CODE
        call    eax
        cmp     eax, esi
        jne     .run
        call    barrier
        REPEATED
        ret

; The others run it when an interrupt says so.
rewriting_by_ipi:
        sti
        REPEAT  FEW
        call    barrier
        call    my_turn
        jne     .next
        cli
        mov     dword [acks], 1
        lea     eax, [esi + 0x1000]
        mov     [expected], eax
        mov     [CODE + 1], eax
        mov     dword [ICR], OTHERS | ASSERT | RUN
        mov     eax, [cpus]
        UNTIL   [acks], eax, e
        sti
.next:  call    barrier
        REPEATED
        cli
        ret

on_run: push    eax
        mov     eax, CODE
        call    eax
        cmp     eax, [expected]
        VERIFY  52, e
        lock inc dword [acks]
        pop     eax
        jmp     end_of_interrupt

; ---- paging

; Everything maps itself but VICTIMS: the first of them to one of two frames, the others to a third.
tables_make:
        mov     edi, TABLES
        mov     eax, P | W | LARGE
        mov     ecx, 1024
.large: stosd
        add     eax, 0x400000
        loop    .large
        mov     dword [TABLES + (VICTIMS >> 22) * 4], PAGES + P + W
        mov     edi, PAGES
        mov     eax, FRAMES + 0x2000 + P + W
        mov     ecx, 1024
        rep     stosd
        mov     dword [PAGES], FRAMES + P + W
        mov     dword [FRAMES], 0
        mov     dword [FRAMES + 0x1000], 1
        ret

paging_on:
        mov     eax, cr4
        or      eax, 1 << 4     ; PSE
        mov     cr4, eax
        mov     eax, TABLES
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80010000
        mov     cr0, eax
        jmp     .on
.on:    ret

; Each in turn maps the first page elsewhere and tells the others by IPI.
shooting:
        sti
        REPEAT  FEW
        call    my_turn
        jne     .wait
        cli
        mov     dword [acks], 1
        mov     eax, esi
        and     eax, 1
        shl     eax, 12
        add     eax, FRAMES + P + W
        mov     [PAGES], eax
        invlpg  [VICTIMS]
        mov     dword [ICR], OTHERS | ASSERT | FLUSH
        mov     eax, [cpus]
        UNTIL   [acks], eax, e
        mov     [tlb_turn], esi
        sti
.wait:  mov     eax, [VICTIMS]
        pause
        cmp     [tlb_turn], esi
        jne     .wait
        mov     eax, esi
        and     eax, 1
        cmp     eax, [VICTIMS]
        VERIFY  60, e
        call    barrier
        REPEATED
        cli
        ret

on_flush:
        invlpg  [VICTIMS]
        lock inc dword [acks]
        jmp     end_of_interrupt

; All write to pages whose entries lie in one line, and change a bit of their neighbour's entry at the same time.
dirtying:
        ME      ebx
        lea     edi, [PAGES + 64 + 4 * ebx]
        mov     eax, ebx
        shl     eax, 12
        lea     ecx, [VICTIMS + 0x10000 + eax]
        REPEAT  FEW
        mov     dword [edi], FRAMES + 0x2000 + P + W
        mov     eax, cr3
        mov     cr3, eax
        call    barrier
        lea     eax, [ebx + 1]
        cmp     eax, [cpus]
        jb      .neighbour
        xor     eax, eax
.neighbour:
        lea     eax, [PAGES + 64 + 4 * eax]
        lock btc dword [eax], 9
        mov     dl, [ecx]
        lock btc dword [eax], 10
        mov     [ecx + ebx], dl
        lock btc dword [eax], 11
        call    barrier
        cmp     dword [edi], FRAMES + 0x2000 + P + W + A + D + 0xe00
        VERIFY  61, e
        REPEATED
        ret

; ---- IPIs

; Each calls the next one and waits until it has answered.
ringing:
        ME      ebx
        lea     edi, [ebx + 1]
        cmp     edi, [cpus]
        jb      .next
        xor     edi, edi
.next:  mov     eax, [ids + 4 * edi]
        mov     ebx, ASSERT | PING
        jmp     ring
ringing_logical:
        ME      ebx
        lea     edi, [ebx + 1]
        cmp     edi, [cpus]
        jb      .next
        xor     edi, edi
.next:  mov     eax, [logical + 4 * edi]
        mov     ebx, ASSERT | LOGICAL | PING

; EAX: destination, EBX: command, EDI: who that is
ring:   push    ebp
        mov     ebp, eax
        shl     edi, 6
        sti
        REPEAT  FEW
        mov     ecx, [got + edi]
        call    send
        inc     ecx
        UNTIL   [got + edi], ecx, e
        REPEATED
        call    barrier
        cli
        pop     ebp
        ret

; Command EBX to EBP
send:   push    ecx
        cmp     dword [x2], 0
        jne     .x2
        pushfd
        cli
        mov     eax, ebp
        shl     eax, 24
        mov     [ICR_HIGH], eax
        mov     [ICR], ebx
        popfd
        pop     ecx
        ret
.x2:    mov     ecx, X2_ICR
        mov     eax, ebx
        mov     edx, ebp
        wrmsr
        pop     ecx
        ret

on_ping:
        push    ebx
        ME      ebx
        shl     ebx, 6
        inc     dword [got + ebx]
        pop     ebx
end_of_interrupt:
        cmp     dword [x2], 0
        jne     .x2
        mov     dword [EOI], 0
        iretd
.x2:    pushad
        mov     ecx, X2_EOI
        xor     eax, eax
        xor     edx, edx
        wrmsr
        popad
        iretd

flat:   ME      ecx
        mov     eax, 1
        shl     eax, cl
        mov     [logical + 4 * ecx], eax
        shl     eax, 24
        mov     dword [DFR], 0xffffffff
        mov     [LDR], eax
        ret

cluster:
        ME      ebx
        mov     ecx, ebx
        and     ecx, 3
        mov     eax, 1
        shl     eax, cl
        mov     ecx, ebx
        shr     ecx, 2
        shl     ecx, 4
        or      eax, ecx
        mov     [logical + 4 * ebx], eax
        shl     eax, 24
        mov     dword [DFR], 0x0fffffff
        mov     [LDR], eax
        ret

; One of all gets it.
lowest: EVERYBODY .count
        mov     [was], ecx
        mov     eax, .wait
        mov     [work], eax
        mov     dword [done], 1
        lock inc dword [turn]
        mov     ebp, 0xff
        mov     ebx, ASSERT | LOGICAL | LOWEST | PING
        REPEAT  FEW
        call    send
.come:  sti
        nop
        nop
        pause
        cli
        call    .sum
        mov     eax, [was]
        inc     eax
        cmp     ecx, eax
        jb      .come
        VERIFY  70, e
        mov     [was], eax
        REPEATED
        mov     dword [lowest_over], 1
        mov     eax, [cpus]
        UNTIL   [done], eax, e
        call    .sum
        cmp     ecx, [was]
        VERIFY  71, e
        ret
.count: ME      ebx
        test    ebx, ebx
        jnz     .end
.sum:   xor     ecx, ecx
        mov     edx, [cpus]
        mov     edi, got
.add:   add     ecx, [edi]
        add     edi, 64
        dec     edx
        jnz     .add
.end:   ret
.wait:  sti
        UNTIL   dword [lowest_over], 1, e
        cli
        ret

; CPU 0 to the others, and to all.
shorthands:
        ME      ebx
        mov     edi, ebx
        shl     edi, 6
        mov     dword [got + edi], 0
        call    barrier
        sti
        test    ebx, ebx
        jnz     .called
        mov     dword [ICR], OTHERS | ASSERT | PING
        mov     eax, [cpus]
        UNTIL   [answers], eax, e
        cmp     dword [got], 0
        VERIFY  72, e
        mov     dword [ICR], ALL | ASSERT | PING
        UNTIL   dword [got], 1, e
        call    barrier
        ret
.called:
        UNTIL   dword [got + edi], 1, e
        lock inc dword [answers]
        UNTIL   dword [got + edi], 2, e
        call    barrier
        ret

; ---- NMIs, with interrupts off

on_nmi: push    ebx
        ME      ebx
        shl     ebx, 6
        inc     dword [nmis_got + ebx]
        pop     ebx
        iretd

; CPU 0 to each, then each to CPU 0
nmis:   ME      ebx
        mov     edi, ebx
        shl     edi, 6
        test    ebx, ebx
        jz      .first
        UNTIL   dword [nmis_got + edi], 1, e
        UNTIL   [nmi_turn], ebx, e
        mov     ebp, [ids]
        mov     ebx, ASSERT | TO_NMI
        call    send
        mov     ebp, [turn]
        ret
.first: mov     esi, 1
.each:  mov     ebp, [ids + 4 * esi]
        mov     ebx, ASSERT | TO_NMI
        call    send
        mov     edi, esi
        shl     edi, 6
        UNTIL   dword [nmis_got + edi], 1, e
        mov     [nmi_turn], esi
        UNTIL   [nmis_got], esi, e
        inc     esi
        cmp     esi, [cpus]
        jb      .each
        ret

; They end a HLT that no interrupt can.
nmis_halted:
        ME      ebx
        test    ebx, ebx
        jz      .first
        lock inc dword [halted]
        cli
        hlt
        lock dec dword [halted]
        ret
.first: mov     eax, [cpus]
        dec     eax
        UNTIL   [halted], eax, e
.wake:  mov     dword [ICR], OTHERS | ASSERT | TO_NMI
        mov     ecx, 10000
.let:   pause
        cmp     dword [halted], 0
        je      .end
        loop    .let
        jmp     .wake           ; it came before the HLT
.end:   ret

; ---- HLT: the ball goes round, and whoever has not got it sleeps

halting:
        ME      ebx
        lea     edi, [ebx + 1]
        cmp     edi, [cpus]
        jb      .next
        xor     edi, edi
.next:  REPEAT  FEW
.wait:  cli
        cmp     [ball], ebx
        je      .mine
        sti
        hlt
        jmp     .wait
.mine:  mov     [ball], edi
        push    ebp
        push    ebx
        mov     ebp, [ids + 4 * edi]
        mov     ebx, ASSERT | WAKE
        call    send
        pop     ebx
        pop     ebp
        REPEATED
        ret

on_wake:
        jmp     end_of_interrupt

on_spurious:
        iretd

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

; ---- x2APIC

x2_on:  mov     ecx, 0x1b
        rdmsr
        or      eax, 1 << 10
        wrmsr
        call    barrier
        mov     dword [x2], 1
        mov     ecx, 0x802      ; the id, now 32 bits
        rdmsr
        ME      ebx
        cmp     eax, [ids + 4 * ebx]
        VERIFY  90, e
        ret

x2_cluster:
        mov     ecx, 0x80d
        rdmsr
        ME      ebx
        mov     [logical + 4 * ebx], eax
        mov     ecx, [ids + 4 * ebx]
        and     ecx, 15
        mov     edx, 1
        shl     edx, cl
        mov     ecx, [ids + 4 * ebx]
        shr     ecx, 4
        shl     ecx, 16
        or      edx, ecx
        cmp     eax, edx
        VERIFY  91, e
        ret

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
