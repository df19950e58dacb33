; screen.asm - disp_str: the text screen, 25 rows of 80 characters, two bytes each: the character, its colour
;
; GS begins at 0B8000h, so [gs:0] is the top left corner. disp_pos counts bytes from there.

COLUMNS         equ 80
ROWS            equ 25
ROW_BYTES       equ COLUMNS * 2
SCREEN_BYTES    equ ROWS * ROW_BYTES
LAST_ROW        equ SCREEN_BYTES - ROW_BYTES
BRIGHT_WHITE    equ 0Fh
BLANK           equ BRIGHT_WHITE << 8 | ' '
NEW_LINE        equ 0Ah

        global  disp_str
        global  disp_pos

        section .data
disp_pos        dd 0

        section .text

; void disp_str(char *info): writes at disp_pos; 0Ah goes to the start of the next row. Keeps EBX, ESI, EDI, EBP.
disp_str:
        push    ebp
        mov     ebp, esp
        push    ebx
        push    esi
        push    edi
        mov     esi, [ebp + 8]
        mov     edi, [disp_pos]
        mov     ah, BRIGHT_WHITE
        cld
.next:
        lodsb
        test    al, al
        jz      .done
        cmp     al, NEW_LINE
        je      .new_row
        mov     [gs:edi], ax
        add     edi, 2
        jmp     .bottom
.new_row:
        push    eax
        mov     eax, edi
        xor     edx, edx
        mov     ebx, ROW_BYTES
        div     ebx                     ; 32 bits: an 8-bit quotient would fault at row 256
        inc     eax
        mul     ebx
        mov     edi, eax
        pop     eax
.bottom:
        cmp     edi, SCREEN_BYTES
        jb      .next
        call    scroll
        jmp     .next
.done:
        mov     [disp_pos], edi
        pop     edi
        pop     esi
        pop     ebx
        pop     ebp
        ret

; scroll: every row moves up by one; EDI = the beginning of the last row, which is blank now. Keeps the rest.
scroll:
        push    eax
        xor     edi, edi
.move:
        mov     eax, [gs:edi + ROW_BYTES]
        mov     [gs:edi], eax
        add     edi, 4
        cmp     edi, LAST_ROW
        jb      .move
        mov     eax, BLANK << 16 | BLANK
.clear:
        mov     [gs:edi], eax
        add     edi, 4
        cmp     edi, SCREEN_BYTES
        jb      .clear
        mov     edi, LAST_ROW
        pop     eax
        ret
