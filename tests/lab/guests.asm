; Guests for engine.c: pieces of code that the test puts at 8000h of the guest's memory and starts there, in the mode
; that it has set up. Each ends by writing to port DONE. No absolute addresses but those at the top.

CODE    equ 8000h
DONE    equ 0f4h        ; the test kicks the CPU out
NOTED    equ 100h        ; ports that the test notes, 100h to 1FFh
REMAP   equ 0f5h        ; the test changes the memory map
SPOT    equ 5000h       ; what guest and test tell each other through memory
MMIO    equ 0d0000000h  ; addresses that the test notes
APIC    equ 0fee00000h

        section .rodata

%macro guest 2          ; name, bits
        bits %2
        align 16
        global guest_%1
guest_%1:
%define BASE guest_%1
%endmacro

%macro guest_end 1
        global guest_%1_end
guest_%1_end:
%endmacro

%macro finish 0
        out DONE, al
        jmp $
%endmacro

; ---- modes: the width shows in what an addition wraps at

        guest real, 16
        mov dx, NOTED
        mov ax, 0ffffh
        inc ax
        out dx, ax
        mov eax, 12345678h
        out dx, eax
        finish
        guest_end real

        guest protected, 32
        mov edx, NOTED
        mov eax, 0fff00001h
        mov [SPOT], eax
        add eax, 100000h
        out dx, eax
        mov eax, [SPOT]
        out dx, eax
        finish
        guest_end protected

        guest long, 64
        mov edx, NOTED
        mov r9, 0ffffffff00000001h
        mov [SPOT], r9
        add r9, [SPOT]
        mov rax, r9
        out dx, eax
        shr rax, 32
        out dx, eax
        finish
        guest_end long

; ---- ports

        guest ports, 16
        mov dx, NOTED
        in al, dx
        out dx, al
        in ax, dx
        out dx, ax
        in eax, dx
        out dx, eax
        xor ax, ax
        mov es, ax
        mov ds, ax
        mov di, SPOT
        mov cx, 5
        cld
        rep insw
        mov si, SPOT
        mov cx, 10
        rep outsb
        finish
        guest_end ports

; what a port finds in the registers, and what it leaves there; EBX comes back changed, EAX is the answer

        guest backdoor, 32
        mov edx, NOTED
        mov ebx, 11111111h
        mov ecx, 22222222h
        mov esi, 33333333h
        mov edi, 44444444h
        mov eax, 55555555h
        in eax, dx
        out dx, eax
        mov eax, ebx
        out dx, eax
        mov eax, ecx
        out dx, eax
        mov eax, edi
        out dx, eax
        finish
        guest_end backdoor

; ---- MMIO, 32-bit flat

        guest mmio, 32
        mov ebx, MMIO
        mov byte [ebx], 11h
        mov word [ebx + 2], 2222h
        mov dword [ebx + 4], 44444444h
        mov al, [ebx]
        mov ax, [ebx + 2]
        mov eax, [ebx + 4]
        mov dword [ebx + 0ffeh], 0a1b2c3d4h     ; over the end of a page
        mov eax, [ebx + 100000h]                ; nobody's: ones
        mov edx, NOTED
        out dx, eax
        finish
        guest_end mmio

        guest mmio_wide, 64
        mov ebx, MMIO
        mov rax, 8877665544332211h
        mov [rbx + 8], rax
        mov rax, [rbx + 8]
        finish
        guest_end mmio_wide

; ---- read-only memory and remapping; the window is at F0000h

        guest window, 32
        mov edx, NOTED
        mov ebx, 0f0000h
        mov eax, [ebx]
        out dx, eax                     ; ROM
        mov dword [ebx], 55555555h      ; dropped
        mov eax, [ebx]
        out dx, eax                     ; ROM still
        out REMAP, al
        mov eax, [ebx]
        out dx, eax                     ; RAM
        mov dword [ebx], 66666666h
        mov eax, [ebx]
        out dx, eax
        out REMAP, al
        mov eax, [ebx]
        out dx, eax                     ; ROM again
        finish
        guest_end window

; ---- waiting

        guest spin, 32
        jmp $
        guest_end spin

        guest sleep, 16                 ; IF is as the test sets it
again:  hlt
        jmp again
        guest_end sleep

; Port NOTED reads tell the test that the guest is about to wait.
        guest input_kicked, 16
        mov dx, NOTED
        mov eax, 0deadbeefh
        in al, dx
        mov bl, al
        jmp $
        guest_end input_kicked

; ---- interrupts: vectors 20h and 1Dh count in SPOT, and the guest ends when it has three. Real mode.

%macro handler_setup 0
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 7000h
        mov word [20h * 4], CODE + %%handler - BASE
        mov word [20h * 4 + 2], 0
        mov word [1dh * 4], CODE + %%handler - BASE
        mov word [1dh * 4 + 2], 0
        mov word [2 * 4], CODE + %%nmi - BASE
        mov word [2 * 4 + 2], 0
        mov dword [SPOT], 0
        mov dword [SPOT + 4], 0
        jmp %%on
%%handler:
        inc dword [SPOT]
        push ax
        mov al, 20h
        out 20h, al
        pop ax
        iret
%%nmi:  inc dword [SPOT + 4]
        iret
%%on:
%endmacro

        guest interrupts_looping, 16
        handler_setup
        mov dx, NOTED
        out dx, al                      ; ready
        sti
more:   cmp dword [SPOT], 3
        jb more
        cli
        finish
        guest_end interrupts_looping

        guest interrupts_halting, 16
        handler_setup
        mov dx, NOTED
        out dx, al
halted: cli
        cmp dword [SPOT], 3
        jae enough
        sti
        hlt
        jmp halted
enough: finish
        guest_end interrupts_halting

; The firmware's way of waiting: the window is one instruction wide.
        guest interrupts_glimpse, 16
        handler_setup
        mov dx, NOTED
        out dx, al
peek:   sti
        nop
        pause
        cli
        cmp dword [SPOT], 3
        jb peek
        finish
        guest_end interrupts_glimpse

        guest interrupts_closed, 16
        handler_setup
        mov dx, NOTED
        out dx, al                      ; the test raises INTR here
        mov ecx, 100000
shut:   dec ecx
        jnz shut
        mov eax, [SPOT]
        out dx, eax                     ; none came through
        sti
        nop
        nop
        mov eax, [SPOT]
        out dx, eax                     ; now it did
        cli
        finish
        guest_end interrupts_closed

        guest nmi, 16
        handler_setup
        mov dx, NOTED
        out dx, al
nonmi:  cmp dword [SPOT + 4], 1
        jb nonmi
        out dx, al
        hlt                             ; with IF clear: an NMI alone ends it
        finish
        guest_end nmi

; The kernel's 8259As and 8254: IRQ 5 is vector 1Dh, or IRQ 0 at 1000 Hz 20h.
%macro pic_setup 2                      ; base, mask
        mov al, 11h
        out 20h, al
        mov al, %1
        out 21h, al
        mov al, 4
        out 21h, al
        mov al, 1
        out 21h, al
        mov al, %2
        out 21h, al
%endmacro

        guest irqchip, 16
        handler_setup
        pic_setup 18h, 0dfh
        mov dx, NOTED
        out dx, al
irqs:   cli
        cmp dword [SPOT], 3
        jae irqdone
        sti
        hlt
        jmp irqs
irqdone:
        finish
        guest_end irqchip

        guest pit, 16
        handler_setup
        pic_setup 20h, 0feh
        mov al, 34h
        out 43h, al
        mov al, 0a9h
        out 40h, al
        mov al, 4
        out 40h, al
ticks:  cli
        cmp dword [SPOT], 3
        jae ticked
        sti
        hlt
        jmp ticks
ticked: in al, 61h
        mov ah, al
turn:   in al, 61h                      ; bit 4 follows the refresh timer
        xor al, ah
        test al, 10h
        jz turn
        mov dx, NOTED
        out dx, al
        finish
        guest_end pit

; ---- trouble

        guest triple, 32
        sub esp, 8
        mov dword [esp], 0
        mov dword [esp + 4], 0
        lidt [esp]
        int3
        jmp $
        guest_end triple

        guest unemulatable, 32
        mov ebx, MMIO
        fadd dword [ebx]
        finish
        guest_end unemulatable

; ---- what the CPU says of itself: leaf in, registers out

        guest cpuid, 32
        mov esi, SPOT
        mov eax, [esi]
        mov ecx, [esi + 4]
        cpuid
        mov [esi], eax
        mov [esi + 4], ebx
        mov [esi + 8], ecx
        mov [esi + 12], edx
        finish
        guest_end cpuid

; ---- two CPUs: the first wakes the second, which answers in SPOT. 32-bit flat.

        guest wakes_second, 32
        mov ebx, APIC
        mov dword [SPOT], 0
        or dword [ebx + 0f0h], 100h
        mov dword [ebx + 300h], 0c4500h  ; INIT to all but itself
        mov dword [ebx + 300h], 0c4609h  ; start-up: 9000h
await:  pause
        cmp dword [SPOT], 2222h
        jne await
        finish
        guest_end wakes_second

        guest second, 16
        xor ax, ax
        mov ds, ax
        mov word [SPOT], 2222h
        cli
park:   hlt
        jmp park
        guest_end second

        section .note.GNU-stack noalloc noexec nowrite progbits
