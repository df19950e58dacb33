; loader.asm - LOADER.BIN: asks for the memory map, reads KERNEL.BIN, enters protected mode, turns paging on,
; puts the kernel where it was linked, and jumps to it
;
; Read this file from top to bottom: it is the whole story, and each CALL is a chapter in the .inc file that
; the %include lines at the end name.
;
; Memory as it stands on arrival from the boot sector (DL = drive, DF clear, the rest unknown):
;
;       0   IVT, BIOS data
;    7C00 - stack, grows down from here
;    7C00   boot sector, with the BPB that says how the file system is laid out
;   30000   free: the kernel's place              <- KernelHeaderPhyAddr
;   60000   free: KERNEL.BIN will be read here    <- BaseOfKernelFilePhyAddr
;   90100   this file                             <- BaseOfLoader:OffsetOfLoader
;    +...   its buffers                           <- LoaderEnd
;   9xxxx   EBDA, then video memory and ROM to FFFFF
;  100000   free                                  <- PageDirBase
;
; Labels that begin with an underscore are offsets in segment 9000h, for real mode; the same name without it
; is the physical address, for protected mode, where every segment begins at 0.

%include "load.inc"
%include "descriptors.inc"

        org     OffsetOfLoader
        bits    16
        jmp     LABEL_START

; ---- GDT: the null descriptor, two that cover all 4 GB, and the screen
LABEL_GDT:         Descriptor       0,       0, 0
LABEL_DESC_FLAT_C: Descriptor       0, 0FFFFFh, DA_CR | DA_32 | DA_LIMIT_4K
LABEL_DESC_FLAT_RW:Descriptor       0, 0FFFFFh, DA_DRW | DA_32 | DA_LIMIT_4K
LABEL_DESC_VIDEO:  Descriptor 0B8000h,  07FFFh, DA_DRW | DA_DPL3

GdtLen          equ $ - LABEL_GDT
GdtPtr          dw GdtLen - 1
                dd BaseOfLoaderPhyAddr + LABEL_GDT      ; LGDT wants a linear address, not an offset

SelectorFlatC   equ LABEL_DESC_FLAT_C - LABEL_GDT
SelectorFlatRW  equ LABEL_DESC_FLAT_RW - LABEL_GDT
SelectorVideo   equ LABEL_DESC_VIDEO - LABEL_GDT + SA_RPL3

; ---- Real mode
LABEL_START:
        mov     ax, BaseOfLoader
        mov     ds, ax
        mov     es, ax
        xor     ax, ax
        mov     ss, ax
        mov     sp, BaseOfBoot          ; the boot sector's stack: 256 bytes below us would not do for INT 13h
        sti
        cld
        mov     [_bDrive], dl

        mov     si, _szLoader
        call    DispStrRealMode
        call    CheckLowMemory
        call    GetMemoryMap
        call    OpenDisk
        call    LoadKernelFile
        call    KillMotor

; ---- Into protected mode: the five steps, in this order
        lgdt    [GdtPtr]
        cli
        call    EnableA20               ; port 92h, then whatever else it takes
        mov     eax, cr0
        or      eax, CR0_PE
        mov     cr0, eax
        jmp     dword SelectorFlatC:(BaseOfLoaderPhyAddr + LABEL_PM_START)

%include "screen16.inc"
%include "memory.inc"
%include "disk.inc"
%include "fat12.inc"
%include "a20.inc"

; ---- Protected mode, flat: an address is a physical address
        bits    32
        align   16
LABEL_PM_START:
        mov     ax, SelectorVideo
        mov     gs, ax
        mov     ax, SelectorFlatRW
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     ss, ax
        mov     esp, TopOfStack
        cld

        call    ReadCursor              ; go on where the BIOS stopped writing
        call    DispMemInfo
        call    SetupPaging
        call    CheckKernel
        call    InitKernel

; What the kernel finds, with the picture of memory as it stands now:
;
;       0   IVT, BIOS data
;   30000   the kernel's segments, .bss cleared   <- e_entry is among them
;   60000   KERNEL.BIN                            - no longer needed
;   90100   the loader; GDT in use, boot information in EBX
;  100000   page directory in use                 <- CR3
;  101000   page tables in use
;
; EAX = BootMagic and EBX = the address of the boot information say that it was this loader.
        mov     eax, BootMagic
        mov     ebx, BootInfo
        jmp     far [dwKernelEntry]     ; SelectorFlatC:030400h, if the ELF header says so

%include "screen32.inc"
%include "report.inc"
%include "paging.inc"
%include "elf.inc"

; ---- Data
_szLoader               db 'spark loader', 13, 10, 0
_szRAMSize              db 'RAM size:', 0
_szReturn               db 10, 0

_dwKernelEntry          dd 0            ; a far pointer
                        dw SelectorFlatC
dwKernelEntry           equ BaseOfLoaderPhyAddr + _dwKernelEntry

; The boot information: what the kernel is told. kernel/boot_info.h describes the same structure.
BootMagic               equ 4B525053h   ; 'SPRK'
        align   4
_BootInfo:
_dwMCRNumber            dd 0            ; memory check result: records in _MemChkBuf
_dwMCRLost              dd 0            ; records that did not fit
_dwMCRMethod            dd 0            ; E820h, E801h or 88h: which call answered
                        dd BaseOfLoaderPhyAddr + _MemChkBuf
                        dd BaseOfLoaderPhyAddr + _MemAttrBuf
_dwMemSize              dd 0            ; the end of the highest RAM below 4 GB, 64 bits (100000000h is possible)
_dwMemSizeHigh          dd 0
_dwPageTables           dd 0            ; how many page tables were made
_dwDispPos              dd 0            ; where the next character goes on the screen, in bytes
_dwDrive                dd 0
_dwKernelFileSize       dd 0
_dwKernelFile           dd BaseOfKernelFilePhyAddr ; where KERNEL.BIN was read to
                        dd BaseOfLoaderPhyAddr + OffsetOfLoader
                        dd LoaderEnd

BootInfo                equ BaseOfLoaderPhyAddr + _BootInfo
dwMCRNumber             equ BaseOfLoaderPhyAddr + _dwMCRNumber
dwMCRLost               equ BaseOfLoaderPhyAddr + _dwMCRLost
dwMCRMethod             equ BaseOfLoaderPhyAddr + _dwMCRMethod
dwMemSize               equ BaseOfLoaderPhyAddr + _dwMemSize
dwMemSizeHigh           equ BaseOfLoaderPhyAddr + _dwMemSizeHigh
dwPageTables            equ BaseOfLoaderPhyAddr + _dwPageTables
dwDispPos               equ BaseOfLoaderPhyAddr + _dwDispPos
dwDrive                 equ BaseOfLoaderPhyAddr + _dwDrive
dwKernelFileSize        equ BaseOfLoaderPhyAddr + _dwKernelFileSize
dwKernelFile            equ BaseOfLoaderPhyAddr + _dwKernelFile
szRAMSize               equ BaseOfLoaderPhyAddr + _szRAMSize
szReturn                equ BaseOfLoaderPhyAddr + _szReturn
MemChkBuf               equ BaseOfLoaderPhyAddr + _MemChkBuf
MemAttrBuf              equ BaseOfLoaderPhyAddr + _MemAttrBuf

; ---- Buffers: not in the file, so they hold garbage until something is put in
        section .bss align=16
_MemChkBuf:             resb MCR_ROOM * ARDS_Size
_MemChkOver:            resb ARDS_Size + 4 ; the record that does not fit, and the tail of the last that does
_MemAttrBuf:            resd MCR_ROOM   ; the ACPI 3.0 attributes of each record
_SectorBuffer:          resb 512        ; one sector of the root directory
_FatBuffer:             resb FAT_ROOM
        alignb  16
                        resb 1024
_TopOfStack:
_LoaderEnd:
TopOfStack              equ BaseOfLoaderPhyAddr + _TopOfStack
LoaderEnd               equ BaseOfLoaderPhyAddr + _LoaderEnd
