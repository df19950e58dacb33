; One loop for the software CPU's benchmark (cpu.py), assembled once for each ROW and MODE, which is 32 or 64: paged,
; pages of 4 KiB, CPL 0. It runs COUNT rounds, whatever a round is, then writes D to the serial line and sleeps.
%include "guest.inc"

SERIAL  equ 0x3f8
BUFFER  equ 0x200000            ; 2 MiB up to 4 MiB
FAULTED equ 0x1ff000            ; the page that comes and goes
PD      equ TABLES + 0x2000
PT      equ TABLES + 0x3000     ; of the first 4 MiB
ALL     equ 3                   ; present, writable

%if MODE = 64
%define WORD_SIZE 8
%define ACC rax
%define SRC rsi
%define DST rdi
%else
%define WORD_SIZE 4
%define ACC eax
%define SRC esi
%define DST edi
%endif

start32:
        xor     eax, eax
        mov     edi, TABLES
        mov     ecx, 0x6000 / 4
        rep     stosd
%if MODE = 64
        mov     dword [TABLES], TABLES + 0x1000 + ALL
        mov     dword [TABLES + 0x1000], PD + ALL
        mov     dword [PD], PT + ALL
        mov     dword [PD + 8], PT + 0x1000 + ALL
%else
        mov     dword [TABLES], PT + ALL
%endif
        mov     eax, ALL
        mov     edi, PT
.map:   mov     [edi], eax
        add     edi, WORD_SIZE
        add     eax, 4096
        cmp     eax, 0x400000
        jb      .map
%if MODE = 64
        mov     eax, cr4
        or      eax, 1 << 5 | 1 << 9
        mov     cr4, eax
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 1 << 8
        wrmsr
%else
        mov     eax, cr4
        or      eax, 1 << 9
        mov     cr4, eax
%endif
        mov     eax, TABLES
        mov     cr3, eax
        mov     eax, cr0
        and     al, ~4
        or      eax, 0x80000000
        mov     cr0, eax
%if MODE = 64
        lgdt    [gdtr64]
        jmp     8:paged
        align   8
gdt64:  dq      0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr64: dw      23
        dd      gdt64
        bits    64
%else
        jmp     paged
%endif
        align   64
paged:  mov     esp, STACK
        fninit
%ifidn ROW, fault
        mov     eax, fault_taken
        mov     edx, PF
        call    gate_set
%endif
        mov     eax, interrupt_taken
        mov     edx, 0x20
        call    gate_set
        mov     ebp, COUNT
        mov     esi, BUFFER
        mov     edi, BUFFER + 0x100000
        xor     eax, eax
        mov     ebx, 3
        cld

        align   64
round:
%ifidn ROW, nothing

%elifidn ROW, integer           ; 16 instructions
        add     eax, ebx
        lea     edx, [SRC + DST * 2]
        xor     ecx, edx
        shl     edx, 3
        sub     ecx, eax
        and     edx, 0xffff
        or      eax, edx
        imul    ebx, ebx, 5
        add     eax, 17
        mov     edx, eax
        shr     edx, 7
        xor     eax, edx
        neg     ecx
        add     ebx, ecx
%elifidn ROW, branch            ; 14, of which half jump by what a generator says
%assign i 0
%rep 3
        imul    eax, eax, 1103515245
        add     eax, 12345
        test    eax, 0x10000 << i
        jz      .even %+ i
        inc     ebx
.even %+ i:
%assign i i + 1
%endrep
%elifidn ROW, call              ; 4 calls
        call    nothing
        call    nothing
        call    nothing
        call    nothing
%elifidn ROW, walk              ; 16 loads and stores
%assign i 0
%rep 8
        mov     eax, [SRC + i * 8]
        add     [SRC + i * 8 + 4], eax
%assign i i + 1
%endrep
        add     esi, 64
        and     esi, ~0x100000
%elifidn ROW, pages             ; 8 loads, a page further each
%rep 8
        add     eax, [SRC]
        add     esi, 4096 + 64
        and     esi, ~0x100000
%endrep
        or      esi, BUFFER
%elifidn ROW, moves             ; 4 KiB
        mov     esi, BUFFER
        mov     edi, BUFFER + 0x100000
        mov     ecx, 4096
        rep     movsb
%elifidn ROW, sse2              ; 8
        movapd  xmm0, [SRC]
        mulpd   xmm0, xmm1
        addpd   xmm2, xmm0
        movsd   xmm3, [SRC + 16]
        addsd   xmm3, xmm2
        mulsd   xmm3, xmm1
        movsd   [SRC + 24], xmm3
        subpd   xmm2, xmm0
%elifidn ROW, x87               ; 5
        fld     qword [SRC]
        fmul    qword [SRC + 8]
        fadd    qword [SRC + 16]
        fld1
        faddp
        fstp    qword [SRC + 24]
%elifidn ROW, interrupt         ; INT and IRET
        int     0x20
%elifidn ROW, fault             ; a page fault that maps the page, then it is taken away again
        mov     eax, [FAULTED]
        mov     dword [PT + FAULTED / 4096 * WORD_SIZE], 0
        invlpg  [FAULTED]
%elifidn ROW, cr3               ; and 16 pages touched
        mov     ACC, cr3
        mov     cr3, ACC
%assign i 0
%rep 16
        mov     eax, [SRC + i * 4096]
%assign i i + 1
%endrep
%elifidn ROW, port              ; a write to a port where nothing is
        out     0x80, al
%elifidn ROW, modify            ; changes an instruction and runs it
        mov     [changed + 1], ebp
        call    changed
%endif
        dec     ebp
        jnz     round

        mov     dx, SERIAL + 3  ; 115,200 baud, 8N1
        mov     al, 0x80
        out     dx, al
        mov     dx, SERIAL
        mov     al, 1
        out     dx, al
        inc     dx
        xor     al, al
        out     dx, al
        mov     dx, SERIAL + 3
        mov     al, 3
        out     dx, al
        mov     dx, SERIAL
        mov     al, 'D'
        out     dx, al
.sleep: cli
        hlt
        jmp     .sleep

nothing:
        ret

        align   64
changed:
        mov     eax, 0
        ret

        align   64
interrupt_taken:
%if MODE = 64
        iretq
%else
        iretd
%endif

fault_taken:
        mov     dword [PT + FAULTED / 4096 * WORD_SIZE], FAULTED + ALL
%if MODE = 64
        add     rsp, 8
        iretq
%else
        add     esp, 4
        iretd
%endif

; The gate of vector EDX leads to EAX.
gate_set:
%if MODE = 64
        shl     edx, 4
%else
        shl     edx, 3
%endif
        add     edx, gates
        mov     ecx, eax
        and     ecx, 0xffff
        or      ecx, 8 << 16
        and     eax, 0xffff0000
        or      eax, 0x8e00
%if MODE = 64
        mov     [rdx], ecx
        mov     [rdx + 4], eax
        mov     qword [rdx + 8], 0
%else
        mov     [edx], ecx
        mov     [edx + 4], eax
%endif
        lidt    [gates_pointer]
        ret
gates_pointer:
        dw      0x3ff
        dq      gates
gates   equ     0x90000

        bits    32
        GUEST_END
