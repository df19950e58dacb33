; A boot sector for terminal_test.py: says "ready" and shows what is typed. Keys without a character show their scan
; code as two letters (A is 0), ` draws in mode 13h, ! is a triple fault.
org 7c00h
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 7c00h
    mov ax, 3
    int 10h
    mov si, ready
print:
    lodsb
    test al, al
    jz next
    mov ah, 0eh
    mov bx, 7
    int 10h
    jmp print
next:
    xor ah, ah
    int 16h
    cmp al, '!'
    je crash
    cmp al, '`'
    je graphics
    test al, al
    jz special
show:
    mov ah, 0eh
    int 10h
    cmp al, 13
    jne next
    mov al, 10
    jmp show
special:
    mov al, ah
    mov bl, al
    shr al, 4
    call digit
    mov al, bl
    and al, 15
    call digit
    jmp next
digit:
    add al, 'A'
    mov ah, 0eh
    int 10h
    ret
graphics:
    mov ax, 13h
    int 10h
    mov ax, 0a000h
    mov es, ax
    xor di, di
    mov cx, 64000
    mov al, 4
    rep stosb
    jmp next
crash:
    lidt [none]
    int3
none: times 6 db 0
ready: db 13, 10, 'ready', 0c9h, 0cdh, '>', 0
times 510-($-$$) db 0
dw 0aa55h
