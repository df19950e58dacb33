; A boot sector that writes CPUID's leaves to port E9h, a line of eight hexadecimal numbers each: leaf, sub-leaf, EAX, EBX,
; ECX, EDX; then one with what three instructions came to that a model may not have: 0 done, 6 undefined (CMOVcc,
; POPCNT, an SSE instruction; x2APIC in APIC_BASE, RDMSR of TSC_DEADLINE).
        org 0x7c00
        bits 16

SUBLEAVES:      equ 4

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, start
        mov word [6 * 4], undefined
        mov [6 * 4 + 2], ax
        mov word [13 * 4], undefined    ; CR4.OSFXSR where there is none
        mov [13 * 4 + 2], ax
        mov bp, ranges
.range: mov esi, [bp]
.leaf:  xor edi, edi
.sub:   mov eax, esi
        mov ecx, edi
        cpuid
        push edx
        push ecx
        push ebx
        push eax
        push edi
        push esi
        mov cx, 6
.value: pop eax
        call hex
        loop .value
        mov al, 10
        out 0xe9, al
        inc edi
        cmp edi, SUBLEAVES
        jb .sub
        inc esi
        cmp esi, [bp + 4]
        jbe .leaf
        add bp, 8
        cmp bp, ranges_end
        jb .range

        mov word [resume], .0
        mov eax, cr4                    ; the system allows SSE
        or ax, 1 << 9
        mov cr4, eax
.0:     mov word [resume], .1
        xor eax, eax
        cmovz ax, ax
.1:     call hex
        mov word [resume], .2
        xor eax, eax
        popcnt bx, ax
.2:     call hex
        mov word [resume], .3
        xor eax, eax
        movaps xmm0, xmm0
.3:     call hex
        mov word [resume], .4
        mov ecx, 0x1b
        rdmsr
        or ah, 1 << 2
        wrmsr
        xor eax, eax
.4:     call hex
        mov word [resume], .5
        mov ecx, 0x6e0
        rdmsr
        xor eax, eax
.5:     call hex
        mov al, 10
        out 0xe9, al
        mov al, 0
        out 0xf4, al
.stop:  hlt
        jmp .stop

undefined:
        mov eax, 6
        add sp, 6
        jmp [resume]

hex:    push cx
        mov cx, 8
.digit: rol eax, 4
        push ax
        and al, 15
        cmp al, 10
        sbb al, 0x69                    ; the shortest way from 0-15 to 0-9 A-F
        das
        out 0xe9, al
        pop ax
        loop .digit
        mov al, ' '
        out 0xe9, al
        pop cx
        ret

        align 4
ranges: dd 0, 0x20, 0x40000000, 0x40000001, 0x80000000, 0x80000020
ranges_end:
resume: dw 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
