; 32-bit paging: error codes and CR2, accessed and dirty, WP, user pages, INVLPG, 4 MiB and global pages, accesses that
; cross pages, faults of pushes and of the CPU's own accesses.
%include "guest.inc"

TABLE       equ TABLES + 0x1000
VICTIM      equ 0x200000
P           equ 1
W           equ 2
U           equ 4
A           equ 0x20
D           equ 0x40
ENTRY       equ TABLE + VICTIM / 4096 * 4
NEXT_ENTRY  equ ENTRY + 4

; the victim's entry
%macro MAP 1
        mov     dword [ENTRY], VICTIM | %1
        invlpg  [VICTIM]
%endmacro

%macro AT 2
        EXPECT  %1, PF, %2
        mov     eax, cr2
        cmp     eax, VICTIM + 0x123
        CHECK   %1, e
%endmacro

start32:
        mov     edi, TABLES
        mov     ecx, 1024
        xor     eax, eax
        rep     stosd
        mov     dword [TABLES], TABLE | P | W | U
        mov     edi, TABLE
        mov     eax, P | W | U
.map:   stosd
        add     eax, 4096
        cmp     eax, 0x400000
        jb      .map
        mov     eax, TABLES
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        jmp     .paged
.paged:
        MAP     0
        TRY
        mov     al, [VICTIM + 0x123]
        TRIED
        AT      1, 0
        TRY
        mov     [VICTIM + 0x123], al
        TRIED
        AT      2, 2
        TRY
        mov     eax, VICTIM + 0x123
        jmp     eax
        TRIED
        AT      4, 0
        cmp     dword [trap_eip], VICTIM + 0x123
        CHECK   5, e
        test    dword [ENTRY], A | D
        CHECK   6, z

        MAP     P | W | U
        mov     al, [VICTIM]
        mov     eax, [ENTRY]
        and     eax, A | D
        cmp     eax, A
        CHECK   7, e
        mov     [VICTIM], al
        mov     eax, [ENTRY]
        and     eax, A | D
        cmp     eax, A | D
        CHECK   8, e
        test    dword [TABLES], A
        CHECK   9, nz

        ; read-only: the system may write until WP is set
        MAP     P | U
        TRY
        mov     [VICTIM + 0x123], al
        TRIED
        EXPECT  10, NO_FAULT, 0
        mov     eax, cr0
        or      eax, 1 << 16
        mov     cr0, eax
        TRY
        mov     [VICTIM + 0x123], al
        TRIED
        AT      11, 3
        mov     eax, cr0
        and     eax, ~(1 << 16)
        mov     cr0, eax

        ; ring 3
%macro AT3 4                    ; number, instruction, map, error
        MAP     %3
        TRY
        RING3   .ring3_%1, 2
.ring3_%1:
        %2
        TRIED
        AT      %1, %4
%endmacro
%define LOAD  mov al, [ss:VICTIM + 0x123]
%define STORE mov [ss:VICTIM + 0x123], al
        AT3     20, {LOAD}, 0, 4
        AT3     21, {STORE}, 0, 6
        AT3     22, {LOAD}, P | W, 5
        AT3     23, {STORE}, P | W, 7
        AT3     24, {STORE}, P | U, 7
        MAP     P | W | U
        TRY
        RING3   .ring3_fine, 2
.ring3_fine:
        LOAD
        STORE
        ud2
        TRIED
        EXPECT  25, 6, 0

        ; what is not flushed may stay; INVLPG makes it go
        MAP     P | W
        mov     al, [VICTIM]
        mov     dword [ENTRY], 0
        invlpg  [VICTIM]
        TRY
        mov     al, [VICTIM + 0x123]
        TRIED
        AT      30, 0

        ; a fault leaves the instruction as if it had not begun, and it can be repeated
        MAP     P | W
        mov     dword [VICTIM + 0xffc], 0x11111111
        mov     dword [NEXT_ENTRY], 0
        invlpg  [VICTIM + 0x1000]
        TRY
        mov     dword [VICTIM + 0xffe], 0x22222222
        TRIED
        EXPECT  31, PF, 2
        mov     eax, cr2
        cmp     eax, VICTIM + 0x1000
        CHECK   32, e
        cmp     dword [VICTIM + 0xffc], 0x11111111
        CHECK   33, e
        mov     esi, VICTIM + 0xff0
        mov     edi, VICTIM
        TRY
        mov     ecx, 16
        rep     movsd
        TRIED
        EXPECT  34, PF, 0
        cmp     esi, VICTIM + 0x1000
        CHECK   35, e
        cmp     edi, VICTIM + 0x10
        CHECK   36, e
        cmp     ecx, 12
        CHECK   37, be
        mov     dword [NEXT_ENTRY], VICTIM + 0x1000 | P | W
        mov     dword [VICTIM + 0xffe], 0x22222222
        cmp     word [VICTIM + 0x1000], 0x2222
        CHECK   38, e

        ; 4 MiB pages
        mov     eax, cr4
        or      eax, 1 << 4
        mov     cr4, eax
        mov     dword [TABLES + 4], 0 | P | W | 0x80
        mov     dword [VICTIM + 0x400010], 0x33333333
        cmp     dword [VICTIM + 0x10], 0x33333333
        CHECK   40, e
        mov     eax, [TABLES + 4]
        and     eax, A | D
        cmp     eax, A | D
        CHECK   41, e
        mov     dword [TABLES + 4], 0 | P | 0x80
        invlpg  [0x400000]
        TRY
        RING3   .ring3_large, 2
.ring3_large:
        mov     al, [ss:VICTIM + 0x400123]
        TRIED
        EXPECT  42, PF, 5
        mov     eax, cr4                        ; without PSE bit 7 means nothing: a page table at 0
        and     eax, ~(1 << 4)
        mov     dword [0], VICTIM | P | W
        mov     dword [TABLES + 4], 0 | P | W | 0x80
        mov     cr4, eax
        mov     dword [VICTIM], 0x44444444
        cmp     dword [0x400000], 0x44444444
        CHECK   43, e

        ; global pages live through a new CR3, not through PGE going away
        mov     dword [TABLES + 4], 0
        mov     eax, cr4
        or      eax, 1 << 7
        mov     cr4, eax
        MAP     P | W | 0x100
        mov     al, [VICTIM]
        mov     dword [ENTRY], 0
        mov     eax, cr4
        and     eax, ~(1 << 7)
        mov     cr4, eax
        TRY
        mov     al, [VICTIM + 0x123]
        TRIED
        AT      44, 0

        ; the GDT in a page that ring 3 may not read: loading a segment there is the system's access
        mov     esi, gdt
        mov     edi, VICTIM + 0x123
        MAP     P | W
        mov     ecx, gdt_end - gdt
        rep     movsb
        mov     word [moved_gdtr], gdt_end - gdt - 1
        mov     dword [moved_gdtr + 2], VICTIM + 0x123
        lgdt    [moved_gdtr]
        TRY
        RING3   .ring3_gdt, 2
.ring3_gdt:
        mov     ax, DATA3
        mov     fs, ax
        ud2
        TRIED
        EXPECT  50, 6, 0
        lgdt    [gdtr]
        PASS

        align   8
moved_gdtr  dd 0, 0
        GUEST_END
