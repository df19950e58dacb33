; A multiboot kernel for direct_test.py: says on COM1 what it was given, then does what its command line's last letter
; asks for: p powers off through the PIIX4's ports, r resets at CF9h (once: a mark in memory says that it has), t uses the
; test device, h writes on the screen and halts.
bits 32
COM1         equ 3f8h
PM1_CONTROL  equ 604h
SLP_EN       equ 2000h
TEST_DATA    equ 0e0h
TEST_MEMORY  equ 0ff000000h
MARK         equ 500000h            ; RAM that the kernel does not lie in
MAGIC        equ 1badb002h
LOADED       equ 2badb002h

section .text
align 4
        dd MAGIC, 0, -MAGIC
global start
start:
        mov esp, stack
        mov ebp, ebx                ; the information
        cmp eax, LOADED
        mov esi, bad
        jne say_end
        mov eax, cs                 ; flat, of 32 bits, without paging
        mov esi, hello
        call say
        mov esi, [ebp + 16]         ; its command line
        call say
        call line
        mov eax, [ebp + 8]          ; KiB above 1 MiB
        mov esi, upper
        call number
        mov eax, [ebp + 20]         ; modules
        mov esi, modules
        call number
        mov ecx, [ebp + 20]
        mov edi, [ebp + 24]
module: jecxz probes
        push ecx
        mov esi, [edi + 8]          ; its line
        call say
        mov esi, colon
        call say
        mov esi, [edi]              ; its first eight bytes
        mov ecx, 8
.byte:  lodsb
        call put
        loop .byte
        call line
        add edi, 16
        pop ecx
        dec ecx
        jmp module
probes: mov eax, [bss]              ; is zero
        mov esi, zeroed
        call number
        mov dword [bss], 1
        mov esi, 0f0000h            ; the root pointer
        mov eax, [esi]
        mov esi, root
        call number
        mov eax, 80000900h          ; the IDE function's command register
        add eax, 4
        mov edx, 0cf8h
        out dx, eax
        mov edx, 0cfch
        in ax, dx
        and eax, 1
        mov esi, decode
        call number

        mov esi, [ebp + 16]         ; the last letter
last:   lodsb
        test al, al
        jz found
        mov bl, al
        jmp last
found:  cmp bl, 'r'
        je reset
        cmp bl, 't'
        je test_device
        cmp bl, 'h'
        je halt
power_off:
        mov dx, PM1_CONTROL
        mov ax, SLP_EN
        out dx, ax
        hlt
reset:  cmp dword [MARK], 1
        je power_off
        mov dword [MARK], 1
        mov dx, 0cf9h
        mov al, 6
        out dx, al
        hlt
halt:   mov edi, 0b8000h            ; grey on black
        mov esi, screen
        mov ah, 7
.next:  lodsb
        stosw
        test al, al
        jnz .next
        mov esi, halted
        call say
        hlt
test_device:
        mov eax, 12345678h
        out TEST_DATA, eax
        in al, TEST_DATA + 9
        movzx eax, al
        mov esi, data
        call number
        mov dword [TEST_MEMORY + 124h], 87654321h
        movzx eax, word [TEST_MEMORY + 126h]
        mov esi, memory
        call number
        mov al, 20h                 ; line 5 up: the 8259A sees it, masked though it is
        mov dx, 2005h
        mov al, 1
        out dx, al
        mov al, 0ah                 ; OCW3: read the request register
        out 20h, al
        in al, 20h
        movzx eax, al
        and eax, 20h
        mov esi, lines
        call number
        jmp power_off

say_end:
        call say
        jmp power_off
line:   mov esi, newline
say:    lodsb
        test al, al
        jz .done
        call put
        jmp say
.done:  ret
put:    push edx
        mov dx, COM1
        out dx, al
        pop edx
        ret
number: push eax
        call say
        pop eax
        mov ecx, 8
.digit: rol eax, 4
        push eax
        and al, 15
        cmp al, 10
        sbb al, 69h
        das
        call put
        pop eax
        loop .digit
        jmp line

section .data
hello:   db "direct guest: ", 0
bad:     db "bad magic", 10, 0
upper:   db "upper ", 0
modules: db "modules ", 0
zeroed:  db "bss ", 0
root:    db "root ", 0
decode:  db "ide ", 0
data:    db "data ", 0
memory:  db "memory ", 0
lines:   db "request ", 0
halted:  db "halted", 10, 0
screen:  db "on the screen", 0
colon:   db ": ", 0
newline: db 10, 0

section .bss
bss:    resd 1
        resb 4096
stack:
