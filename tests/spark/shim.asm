; shim.asm - a BIOS with bad manners, for tests
;
; Goes into the boot sector and some free sectors at the end of a spark floppy, where shim.py puts it, with the true boot
; sector behind it. It hooks INT 13h and INT 15h, spoils memory and registers as configured, and starts the true boot
; sector. It stays at 9C000h and takes that off the conventional memory.

BODY_SECTOR     equ 2860                ; the last but 20 sectors of the floppy
BODY_SECTORS    equ 18
TRUE_BOOT       equ 2879
BODY_SEGMENT    equ 9C00h
BODY_KB         equ BODY_SEGMENT / 64
TRACK_SECTORS   equ 18

E820_FAILS      equ 1                   ; CF at the first call
E820_ENDS_CF    equ 2                   ; the end of the list is a CF instead of EBX = 0
E820_ENDLESS    equ 4
E820_NO_SMAP    equ 8                   ; no CF, but EAX is not 'SMAP'
E820_ONLY_20    equ 10h                 ; refuses ECX = 24
E801_FAILS      equ 20h
F88_FAILS       equ 40h
SPOIL           equ 80h                 ; registers, DF and IF come back changed
GARBAGE         equ 100h                ; memory is full of A5h
CS_07C0         equ 200h                ; the boot sector runs at 07C0:0000
A20_OFF         equ 400h
MOVE_EBDA       equ 800h                ; to the segment in ebda
E801_IN_CXDX    equ 1000h               ; AX and BX are 0, the answer is in CX and DX alone

        bits    16
        org     0

; ---- the boot sector: runs at 7C00h, with itself as segment 07C0h
        jmp     short start
        nop
        times 62 - ($ - $$) db 0
start:
        jmp     07C0h:.here
.here:
        cli
        xor     ax, ax
        mov     ss, ax
        mov     sp, 7C00h
        mov     ax, 07C0h
        mov     ds, ax
        sti
        mov     [drive], dl
        mov     ax, BODY_SEGMENT
        mov     es, ax
        xor     bx, bx
        mov     ax, BODY_SECTOR
        mov     cx, BODY_SECTORS
.read:
        call    read_sector
        inc     ax
        add     bx, 512
        loop    .read
        mov     dl, [drive]
        jmp     BODY_SEGMENT:(body - 512)

; read_sector: sector AX to ES:BX
read_sector:
        pusha
        mov     dl, TRACK_SECTORS
        div     dl                      ; AL = track, AH = sector - 1
        mov     cl, ah
        inc     cl
        mov     dh, al
        and     dh, 1
        shr     al, 1
        mov     ch, al
        mov     dl, [drive]
        mov     ax, 0201h
        int     13h
        popa
        ret
drive   db 0
        times 510 - ($ - $$) db 0
        dw 0AA55h

; ---- the body, at BODY_SEGMENT:0; so a label's offset is the label less 512
%define at(label) (label - 512)

config:
flags           dw 0
fail_reads      db 0                    ; so many reads fail before one succeeds
entry_dl        db 0FFh                 ; the drive that the boot sector is told; FFh: the true one
low_kb          dw 0                    ; what INT 12h says; 0: BODY_KB
ebda            dw 0
bad_first       dw 0FFFFh               ; reads that touch these sectors always fail
bad_last        dw 0
e801_ax         dw 0
e801_bx         dw 0
f88_ax          dw 0
e820_count      dw 0                    ; 0: the BIOS's own list
e820_list       equ $ + 2               ; 24 bytes a record
e820_record     dw 24
        times 200 * 24 db 0

true_drive      db 0
old_13          dd 0
old_15          dd 0

body:
        mov     ax, cs
        mov     ds, ax
        mov     [at(true_drive)], dl
        xor     ax, ax
        mov     es, ax
        mov     ax, [at(low_kb)]
        test    ax, ax
        jnz     .kb
        mov     ax, BODY_KB
.kb:
        mov     [es:413h], ax
        test    word [at(flags)], MOVE_EBDA
        jz      .hook
        call    move_ebda
.hook:
        cli
        mov     eax, [es:13h * 4]
        mov     [at(old_13)], eax
        mov     eax, [es:15h * 4]
        mov     [at(old_15)], eax
        mov     word [es:13h * 4], at(hook_13)
        mov     [es:13h * 4 + 2], cs
        mov     word [es:15h * 4], at(hook_15)
        mov     [es:15h * 4 + 2], cs
        sti
        call    load_true_boot
        test    word [at(flags)], GARBAGE
        jz      .a20
        call    fill_garbage
.a20:
        test    word [at(flags)], A20_OFF
        jz      .go
        in      al, 92h
        and     al, 0FCh
        out     92h, al
.go:
        mov     dl, [at(true_drive)]
        cmp     byte [at(entry_dl)], 0FFh
        je      .drive
        mov     dl, [at(entry_dl)]
.drive:
        test    word [at(flags)], SPOIL
        jz      .jump
        mov     eax, 0DEAD0001h
        mov     ebx, 0DEAD0002h
        mov     ecx, 0DEAD0003h
        mov     esi, 0DEAD0004h
        mov     edi, 0DEAD0005h
        mov     ebp, 0DEAD0006h
        mov     es, si
        mov     fs, si
        mov     gs, si
        std
.jump:
        test    word [cs:at(flags)], CS_07C0
        mov     ax, 1234h
        mov     ds, ax
        jnz     .odd
        jmp     0:7C00h
.odd:
        jmp     07C0h:0

move_ebda:
        push    es
        push    ds
        mov     bx, [at(ebda)]
        mov     ax, [es:40Eh]
        mov     [es:40Eh], bx
        mov     ds, ax
        mov     es, bx
        xor     si, si
        xor     di, di
        mov     cx, 512
        cld
        rep     movsw
        pop     ds
        pop     es
        ret

load_true_boot:
        push    es
        xor     ax, ax
        mov     es, ax
        mov     ax, 0201h
        mov     cx, (TRUE_BOOT / 36) << 8 | (TRUE_BOOT % 18 + 1)
        mov     dh, TRUE_BOOT / 18 % 2
        mov     dl, [at(true_drive)]
        mov     bx, 7C00h
        pushf
        call    far [at(old_13)]
        pop     es
        ret

; fill_garbage: 500h to 7000h, 7E00h to 9C000h, and 100000h to 10FFEFh
fill_garbage:
        cld
        xor     ax, ax
        mov     es, ax
        mov     di, 500h
        mov     cx, 7000h - 500h
        mov     al, 0A5h
        rep     stosb
        mov     dx, 7E0h
.page:
        mov     es, dx
        xor     di, di
        mov     cx, 512
        rep     stosb
        add     dx, 20h
        cmp     dx, BODY_SEGMENT
        jb      .page
        mov     dx, 0FFFFh
        mov     es, dx
        mov     di, 10h
        mov     cx, 0FFE0h
        rep     stosb
        xor     ax, ax
        mov     es, ax
        ret

; ---- INT 13h
hook_13:
        cmp     ah, 02h
        je      .read
        cmp     ah, 42h
        je      .may_fail
        jmp     far [cs:at(old_13)]
.read:
        call    touches_bad
        jc      .fail
.may_fail:
        cmp     byte [cs:at(fail_reads)], 0
        je      .true
        dec     byte [cs:at(fail_reads)]
.fail:
        mov     ax, 2000h               ; controller failure
        push    bp
        mov     bp, sp
        or      byte [bp + 6], 1        ; CF
        pop     bp
        jmp     spoil_13
.true:
        pushf
        call    far [cs:at(old_13)]
        push    bp
        mov     bp, sp
        lahf
        and     byte [bp + 6], ~1 & 0FFh
        and     ah, 1
        or      [bp + 6], ah
        mov     ah, 0
        pop     bp
spoil_13:
        test    word [cs:at(flags)], SPOIL
        jz      .done
        mov     ebx, 0BAD00001h
        mov     ecx, 0BAD00002h
        mov     edx, 0BAD00003h
        mov     esi, 0BAD00004h
        mov     edi, 0BAD00005h
        mov     es, si
        mov     ebp, 0BAD00006h
        push    bp
        mov     bp, sp
        or      word [bp + 6], 0400h    ; DF
        pop     bp
.done:
        iret

; touches_bad: CF if the sectors of this AH=02h call are among bad_first to bad_last
touches_bad:
        pusha
        mov     bl, al                  ; count
        mov     bh, 0
        mov     al, ch
        mov     ah, 0
        shl     ax, 1
        add     al, dh
        mov     dl, TRACK_SECTORS
        mul     dl
        and     cl, 3Fh
        dec     cl
        mov     ch, 0
        add     ax, cx                  ; first
        add     bx, ax
        dec     bx                      ; last
        cmp     bx, [cs:at(bad_first)]
        jb      .no
        cmp     ax, [cs:at(bad_last)]
        ja      .no
        popa
        stc
        ret
.no:
        popa
        clc
        ret

; ---- INT 15h
hook_15:
        cmp     ax, 0E820h
        je      e820
        cmp     ax, 0E801h
        je      e801
        cmp     ah, 88h
        je      f88
chain_15:
        jmp     far [cs:at(old_15)]

e820:
        test    word [cs:at(flags)], E820_FAILS
        jnz     refuse
        cmp     word [cs:at(e820_count)], 0
        je      chain_15
        test    word [cs:at(flags)], E820_ONLY_20
        jz      .size
        cmp     ecx, 20
        jne     refuse
.size:
        cmp     bx, [cs:at(e820_count)]
        jae     refuse                  ; a call past the end
        push    si
        push    di
        push    ds
        mov     ax, cs
        mov     ds, ax
        mov     [at(asked)], ecx
        mov     ax, 24
        mul     bx                      ; DX is 'SMAP' no longer
        mov     si, at(e820_list)
        add     si, ax
        mov     ecx, 20
        test    word [at(flags)], E820_ONLY_20
        jnz     .copy
        cmp     dword [at(asked)], 24
        jb      .copy
        mov     ecx, 24
.copy:
        push    cx
        cld
        rep     movsb
        pop     cx
        pop     ds
        pop     di
        pop     si
        inc     bx
        test    word [cs:at(flags)], E820_ENDLESS
        jz      .finite
        cmp     bx, [cs:at(e820_count)]
        jb      .answer
        dec     bx                      ; the last record again and again
        jmp     .answer
.finite:
        test    word [cs:at(flags)], E820_ENDS_CF
        jnz     .answer                 ; no 0: the next call fails
        cmp     bx, [cs:at(e820_count)]
        jb      .answer
        xor     ebx, ebx
.answer:
        mov     eax, 534D4150h
        test    word [cs:at(flags)], E820_NO_SMAP
        jz      accept
        mov     eax, 0E820h
accept:
        push    bp
        mov     bp, sp
        and     byte [bp + 6], ~1 & 0FFh
spoil_15:
        test    word [cs:at(flags)], SPOIL
        jz      .keep
        or      word [bp + 6], 0600h    ; DF, IF
        pop     bp
        mov     edx, 0BAD00003h
        mov     esi, 0BAD00004h
        mov     edi, 0BAD00005h
        mov     es, si
        mov     ebp, 0BAD00006h
        iret
.keep:
        pop     bp
        iret

refuse:
        mov     ah, 86h
        push    bp
        mov     bp, sp
        or      byte [bp + 6], 1
        jmp     spoil_15

e801:
        test    word [cs:at(flags)], E801_FAILS
        jnz     refuse
        mov     ax, [cs:at(e801_ax)]
        mov     bx, [cs:at(e801_bx)]
        or      ax, bx
        jz      chain_e801
        mov     ax, [cs:at(e801_ax)]
        mov     cx, ax
        mov     dx, bx
        test    word [cs:at(flags)], E801_IN_CXDX
        jz      accept
        xor     ax, ax
        xor     bx, bx
        push    bp
        mov     bp, sp
        and     byte [bp + 6], ~1 & 0FFh
        pop     bp
        iret
chain_e801:
        mov     ax, 0E801h
        jmp     chain_15

f88:
        test    word [cs:at(flags)], F88_FAILS
        jnz     refuse
        cmp     word [cs:at(f88_ax)], 0
        je      chain_15
        mov     ax, [cs:at(f88_ax)]
        jmp     accept

asked   dd 0

        times (BODY_SECTORS + 1) * 512 - ($ - $$) db 0
