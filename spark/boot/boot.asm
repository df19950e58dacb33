; boot.asm - the boot sector: finds LOADER.BIN in the root directory, loads it at 9000h:0100h, jumps there
;
; One sector serves a floppy, an El Torito CD (which the BIOS shows as a floppy) and a partition of a hard
; disk or USB stick: all that differs stands in the BPB, which the image builder fills in.
;
; Memory as it stands:
;
;       0   IVT, BIOS data
;     500   ...
;    7C00 - stack, grows down from here
;    7C00   this sector                           <- the BIOS jumped here, with the drive number in DL
;    8000   the root directory (16 KB at most)    <- DirBuffer
;    C000   the FAT, both copies (12 KB at most)  <- FatBuffer
;   90100   LOADER.BIN                            <- BaseOfLoader:OffsetOfLoader
;   9FC00   EBDA (or lower: INT 12h says)
;
; What may not be taken for granted, and is not: the value of CS (0000:7C00 and 07C0:0000 are the same
; place), of DS, ES, SS and of DF; that the drive is 0; that a read succeeds the first time; that the
; BIOS gives back ES, SI, DI or BP as it got them; that a chain ends with FFFh or is sound at all.

%include "load.inc"

        org     BaseOfBoot

DirBuffer       equ  8000h
FatBuffer       equ 0C000h

        jmp     short LABEL_START
        nop

; The BIOS parameter block. These are the numbers of a 1.44 MB floppy.
BS_OEMName      db 'SPARK   '
BPB_BytsPerSec  dw 512
BPB_SecPerClus  db 1
BPB_RsvdSecCnt  dw 1
BPB_NumFATs     db 2
BPB_RootEntCnt  dw 224
BPB_TotSec16    dw 2880
BPB_Media       db 0F0h
BPB_FATSz16     dw 9
BPB_SecPerTrk   dw 18
BPB_NumHeads    dw 2
BPB_HiddSec     dd 0            ; where the partition begins
BPB_TotSec32    dd 0
BS_DrvNum       db 0            ; overwritten with DL
BS_Reserved1    db 0            ; 1 once the drive is known to take LBA reads
BS_BootSig      db 29h
BS_VolID        dd 20260101h
BS_VolLab       db 'SPARK      '
BS_FileSysType  db 'FAT12   '

UsesLBA         equ BS_Reserved1
LastOffset      equ BS_VolID    ; the last byte that may be loaded, as an offset in segment BaseOfLoader

LABEL_START:
        jmp     0:.cs_is_zero
.cs_is_zero:
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax          ; the CPU lets no interrupt in between these two
        mov     sp, BaseOfBoot
        cld
        mov     [BS_DrvNum], dl
        test    dl, dl
        jns     FindLoader      ; a floppy has the geometry that its BPB says

; A hard disk has the geometry that the BIOS made up for it, and usually takes block numbers instead.
        mov     ah, DISK_GEOMETRY
        call    DiskCall
        jc      .try_lba
        and     cx, 3Fh         ; CL: the number of the last sector, and two bits of the cylinder
        mov     [BPB_SecPerTrk], cx
        movzx   dx, dh          ; DH: the number of the last head
        inc     dx
        mov     [BPB_NumHeads], dx
.try_lba:
        mov     ah, DISK_EXTENSIONS
        mov     bx, 55AAh
        call    DiskCall
        jc      FindLoader
        cmp     bx, 0AA55h
        jne     FindLoader
        mov     [UsesLBA], cl   ; bit 0: AH=42h is there

FindLoader:
        mov     al, [BPB_NumFATs]
        cbw
        mul     word [BPB_FATSz16]
        xchg    ax, cx                  ; all copies of the FAT, so that EAX ends up behind them:
        movzx   eax, word [BPB_RsvdSecCnt]
        mov     bx, FatBuffer
        call    ReadSectors             ; at the first sector of the root directory
        mov     cx, [BPB_RootEntCnt]
        mov     di, cx                  ; DI = entries still to look at
        shr     cx, 4                   ; 16 of them in a sector
        mov     bx, DirBuffer
        call    ReadSectors
        push    eax                     ; and here the files begin: the first sector of cluster 2

        mov     bx, DirBuffer
.entry:
        cmp     byte [bx], 0            ; this entry and all after it were never used
        je      .missing
        test    byte [bx + DIR_Attr], ATTR_DIRECTORY | ATTR_VOLUME_ID ; long names have the latter, too
        jnz     .next
        pusha
        mov     di, bx
        mov     si, LoaderName
        mov     cx, 11
        repe    cmpsb
        popa
        je      LoadFile
.next:
        add     bx, DIR_EntrySize
        dec     di
        jnz     .entry
.missing:
        call    Fail
        db      'not found', 0

LoadFile:
        mov     di, [bx + DIR_FstClusLO]
        int     12h                     ; AX = KB of conventional memory, the EBDA taken off
        sub     ax, BaseOfLoader / 64
        shl     ax, 10
        dec     ax                      ; with all 640 KB: 0 becomes FFFFh
        mov     [LastOffset], ax
        push    BaseOfLoader
        pop     es
        mov     bx, OffsetOfLoader
        pop     ebp                     ; EBP = sector of cluster 2
.cluster:
        lea     ax, [di - FAT12_FIRST]
        cmp     ax, FAT12_BAD - FAT12_FIRST
        jae     .bad_chain              ; 0, 1, FF7h
        movzx   ecx, byte [BPB_SecPerClus]
        mov     dx, cx                  ; would this cluster end in memory that is not there?
        shl     dx, 9
        add     dx, bx
        jc      .too_big
        cmp     dx, [LastOffset]
        ja      .too_big
        movzx   eax, ax
        mul     ecx
        add     eax, ebp
        call    ReadSectors

        mov     si, di                  ; next cluster: a FAT12 entry is 12 bits, at 1.5 * number
        shr     si, 1
        pushf                           ; CF: the number is odd
        add     si, di
        mov     di, [si + FatBuffer]
        popf
        jnc     .even
        shr     di, 4
.even:
        and     di, 0FFFh
        cmp     di, FAT12_BAD
        jbe     .cluster                ; FF7h is refused there, FF8h and up are the end

        mov     dl, [BS_DrvNum]
        jmp     BaseOfLoader:OffsetOfLoader
.bad_chain:
        call    Fail
        db      'bad FAT', 0
.too_big:
        call    Fail
        db      'too big', 0

; ReadSectors: CX sectors of the file system from EAX on to ES:BX; EAX and BX end up behind them
ReadSectors:
        mov     si, DISK_ATTEMPTS
.attempt:
        pushad
        add     eax, [BPB_HiddSec]
        test    byte [UsesLBA], 1
        jz      .chs
        push    dword 0                 ; the disk address packet, built on the stack from its end:
        push    eax                     ; the block, 64 bits
        push    es                      ; the buffer
        push    bx
        push    word 1                  ; one block
        push    word 16                 ; the size of this packet
        mov     si, sp
        mov     ah, DISK_READ_LBA
        call    DiskCall
        popa                            ; drops the 16 bytes, and leaves CF alone
        jmp     .answered
.chs:
        push    eax
        pop     ax
        pop     dx
        div     word [BPB_SecPerTrk]    ; AX = track, DX = sector - 1
        mov     cx, dx
        inc     cx
        xor     dx, dx
        div     word [BPB_NumHeads]     ; AX = cylinder, DX = head
        mov     dh, dl
        mov     ch, al
        shl     ah, 6
        or      cl, ah                  ; CL = the cylinder's two high bits, and the sector
        mov     ax, DISK_READ << 8 | 1
        call    DiskCall
.answered:
        popad
        jnc     .done
        pushad
        mov     ah, DISK_RESET
        call    DiskCall
        popad
        dec     si
        jnz     .attempt
        call    Fail
        db      'read error', 0
.done:
        inc     eax
        add     bx, 512
        loop    ReadSectors
        ret

; DiskCall: INT 13h for our drive. Some BIOSes give back DS, ES or DF otherwise than they got them.
DiskCall:
        push    ds
        push    es
        mov     dl, [BS_DrvNum]
        int     13h
        pop     es
        pop     ds
        cld
        ret

; Fail: says what is wrong with LOADER.BIN and stops. The reason stands where the call would return to.
Fail:
        mov     si, NameMessage
        call    Print
        pop     si
        call    Print
Stop:
        hlt
        jmp     Stop

PrintCharacter:
        mov     ah, 0Eh
        mov     bx, BootMessageAttribute
        int     10h
Print:                                  ; the text at SI, up to a 0
        lodsb
        test    al, al
        jnz     PrintCharacter
        ret

LoaderName      db 'LOADER  BIN'
NameMessage     db 'LOADER.BIN: ', 0

        times 510 - ($ - $$) db 0
        dw      0AA55h
