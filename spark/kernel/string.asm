; string.asm - memory, for C and assembly alike
;
; cdecl: the caller pushes the arguments from right to left and takes them off again; EAX holds the answer;
; EBX, ESI, EDI and EBP come back as they were. A size of 0 or less does nothing.

        global  memcpy
        global  memset

        section .text

; void *memcpy(void *dst, void *src, int size)
memcpy:
        push    ebp
        mov     ebp, esp
        push    esi
        push    edi
        mov     edi, [ebp + 8]
        mov     esi, [ebp + 12]
        mov     ecx, [ebp + 16]
        test    ecx, ecx
        jle     .done
        cld                             ; upwards, whatever the caller had
        rep     movsb
.done:
        mov     eax, [ebp + 8]
        pop     edi
        pop     esi
        pop     ebp
        ret

; void *memset(void *dst, int value, int size)
memset:
        push    ebp
        mov     ebp, esp
        push    edi
        mov     edi, [ebp + 8]
        mov     eax, [ebp + 12]
        mov     ecx, [ebp + 16]
        test    ecx, ecx
        jle     .done
        cld
        rep     stosb
.done:
        mov     eax, [ebp + 8]
        pop     edi
        pop     ebp
        ret
