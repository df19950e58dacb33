; The virtual 8086 mode extensions: INT n by the 8086 program's own vectors, CLI and STI on VIF. QEMU's TCG has no
; redirection and fails here at number 1.
%include "guest.inc"
%include "v86.inc"

start32:
        ; VME: bit clear in the redirection map, so INT 4 goes to 0:10h's vector
        mov     eax, cr4
        or      al, 1
        mov     cr4, eax
        mov     dword [4 * 4], (V86 / 16) << 16 | 0x20
        TRY
        TO_V86  redirected, VIF | 2
        TRIED
        EXPECT  1, 6, 0
        mov     eax, [trap_frame]
        cmp     dword [eax], redirected.end - redirected
        CHECK   1, e
        cmp     word [0x30ffa], 2               ; on its stack: IP, CS, and FLAGS with IF from VIF and IOPL 3
        CHECK   2, e
        test    word [0x30ffe], 0x200
        CHECK   3, nz
        mov     ax, [0x30ffe]
        and     ax, 0x3000
        cmp     ax, 0x3000
        CHECK   4, e
        test    dword [trap_flags], VIF         ; cleared on the way in
        CHECK   5, z
        ; bit set: a trap
        mov     byte [redirection], 1 << 4
        TRAPS   6, do_int, 2
        mov     byte [redirection], 0
        ; CLI and STI work on VIF
        TRY
        TO_V86  do_sti, 2
        TRIED
        EXPECT  7, 6, 0
        test    dword [trap_flags], VIF
        CHECK   8, nz
        test    dword [trap_flags], 0x200
        CHECK   9, z
        PASS

        bits    16
do_sti: sti
        ud2
do_int: int     4
        ud2
redirected:
        int     4
        times   0x20 - ($ - redirected) nop
        nop
.end:   ud2
        times   64 db 0x90
        bits    32
        GUEST_END
