; myadd.asm - C and assembly call each other: the worked example
;
; kernel_main calls myadd, in assembly, which calls myadd_seen, in C. The stack when myadd looks at it:
;
;   [ebp + 16]  res     pushed first: from right to left
;   [ebp + 12]  b
;   [ebp +  8]  a
;   [ebp +  4]  where to return to
;   [ebp]       the caller's EBP

        global  myadd
        extern  myadd_seen

        section .text

; int myadd(int a, int b, int *res): 1, and the sum in *res; 0, and *res untouched, if the sum does not fit
myadd:
        push    ebp
        mov     ebp, esp
        push    dword [ebp + 12]        ; assembly calls C: myadd_seen(a, b)
        push    dword [ebp + 8]
        call    myadd_seen
        add     esp, 8                  ; the caller takes the arguments off again

        mov     eax, [ebp + 8]
        add     eax, [ebp + 12]
        jo      .overflow               ; OF: the sum of the two signed numbers has 33 bits
        mov     edx, [ebp + 16]
        mov     [edx], eax
        mov     eax, 1
        jmp     .done
.overflow:
        xor     eax, eax
.done:
        pop     ebp
        ret
