; mbr.asm - the first sector of the hard disk image: starts the partition that is marked active
;
; Memory as it stands:
;
;    0600   this code, after it moved out of the way   <- BaseOfMbr
;    7C00 - stack
;    7C00   first this sector, then the boot sector of the partition
;
; A PC with a BIOS starts a disk or a USB stick this way; the drive number in DL is handed on.

%include "load.inc"

BaseOfMbr       equ 600h
PartitionTable  equ 446
PartitionSize   equ 16
PART_ACTIVE     equ 80h
PART_Head       equ 1                   ; head; sector and high cylinder bits; cylinder
PART_Lba        equ 8
SIGNATURE       equ 0AA55h

        org     BaseOfMbr

        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, BaseOfBoot
        cld
        mov     si, BaseOfBoot
        mov     di, BaseOfMbr
        mov     cx, 256
        rep     movsw
        jmp     0:Moved
Moved:
        sti
        mov     [Drive], dl
        mov     si, BaseOfMbr + PartitionTable
        mov     cx, 4
.entry:
        cmp     byte [si], PART_ACTIVE
        je      .found
        add     si, PartitionSize
        loop    .entry
        mov     si, NoneMessage
        jmp     Fail
.found:
        mov     di, DISK_ATTEMPTS
.attempt:
        call    ReadBootSector
        jnc     .read
        mov     ah, DISK_RESET
        mov     dl, [Drive]
        int     13h
        dec     di
        jnz     .attempt
        mov     si, ReadMessage
        jmp     Fail
.read:
        cmp     word [BaseOfBoot + 510], SIGNATURE
        mov     bx, SignatureMessage
        xchg    bx, si
        jne     Fail
        xchg    bx, si
        mov     dl, [Drive]
        jmp     0:BaseOfBoot            ; SI points at the partition's entry, as is the custom

; ReadBootSector: the first sector of the partition at SI to 7C00h; CF on error; keeps SI and DI
ReadBootSector:
        pusha
        mov     ah, DISK_EXTENSIONS
        mov     bx, 55AAh
        mov     dl, [Drive]
        push    si
        int     13h
        pop     si
        jc      .chs
        cmp     bx, 0AA55h
        jne     .chs
        test    cl, 1
        jz      .chs
        mov     eax, [si + PART_Lba]
        mov     [Packet + 8], eax
        mov     si, Packet
        mov     ah, DISK_READ_LBA
        jmp     .read
.chs:
        mov     dh, [si + PART_Head]
        mov     cx, [si + PART_Head + 1]
        mov     bx, BaseOfBoot
        mov     ax, DISK_READ << 8 | 1
.read:
        mov     dl, [Drive]
        int     13h
        popa
        ret

Fail:
        lodsb
        test    al, al
        jz      .stop
        mov     ah, 0Eh
        mov     bx, BootMessageAttribute
        push    si
        int     10h
        pop     si
        jmp     Fail
.stop:
        hlt
        jmp     .stop

Drive           db 0
NoneMessage     db 'No active partition', 0
ReadMessage     db 'Boot sector of the partition: read error', 0
SignatureMessage db 'Boot sector of the partition: no signature', 0
        align   4
Packet          dw 16, 1, BaseOfBoot, 0
                dd 0, 0

        times PartitionTable - ($ - $$) db 0
