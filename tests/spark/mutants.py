#!/usr/bin/env python3
"""Puts the faults of the usual boot chain listings into spark, one by one, and sees whether a test notices each.

A fault that no test notices is a test that is missing. Takes a few minutes; -k chooses."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BOOT, LOADER, KERNEL = "spark/boot/", "spark/loader/", "spark/kernel/"

# name, file, what stands there, the fault, test program, its tests; and perhaps more pairs of what stands there and the
# fault, in the same file
FAULTS = [
    ("E820 records run over the buffer", LOADER + "memory.inc",
     "        jb      .keep\n", "        jmp     .keep\n", "bios", "140 entries"),
    ("the E820 buffer has 12 entries", LOADER + "memory.inc",
     "MCR_ROOM        equ 128 ", "MCR_ROOM        equ 12 ", "bios", "13 entries|21 entries"),
    ("'SMAP' is not checked", LOADER + "memory.inc",
     "        cmp     eax, SMAP               ; a BIOS that does not know E820h may return without CF\n"
     "        jne     .refused\n", "", "bios", "SMAP"),
    ("CF at a later call throws all records away", LOADER + "memory.inc",
     "        jc      .end\n.answered:", "        jc      .wipe\n.answered:", "bios", "ends with CF",
     ".end:\n        cmp     dword [_dwMCRNumber], 1",
     ".wipe:\n        mov     dword [_dwMCRNumber], 0\n.end:\n        cmp     dword [_dwMCRNumber], 1"),
    ("an E820 list that never ends is followed for ever", LOADER + "memory.inc",
     "        dec     bp\n        jnz     .loop\n.end:", "        jmp     .loop\n.end:", "bios", "never ends"),
    ("the ACPI 3.0 attributes are not asked for", LOADER + "memory.inc",
     "        mov     ecx, ARDS_Size + 4 ", "        mov     ecx, ARDS_Size ", "bios", "ACPI 3.0"),
    ("no E801h", LOADER + "memory.inc", "        call    GetMapE801\n        jnc     .done\n", "", "bios", "E801"),
    ("LOOP with ECX = 0 when the directory is full", LOADER + "paging.inc",
     "        rep     stosd                   ; with 1024 tables",
     ".fill:  stosd\n        loop    .fill                   ; with 1024 tables", "bios", "crosses 4 GB"),
    ("LOOP with ECX = 0 when p_filesz is 0", LOADER + "elf.inc",
     "        rep     movsb                   ; of 0 bytes: none\n", ".byte:  movsb\n        loop    .byte\n",
     "media", "bss alone"),
    ("the high halves of base and length are ignored by the loader", LOADER + "report.inc",
     "        mov     ebx, edx\n        add     ecx, [esi + ARDS_LengthLow]\n"
     "        adc     ebx, [esi + ARDS_LengthHigh]\n",
     "        xor     edx, edx\n        xor     ebx, ebx\n        add     ecx, [esi + ARDS_LengthLow]\n",
     "bios", "above 4 GB"),
    ("the high halves are ignored by the kernel", KERNEL + "boot_info.h",
     "(u64)range->base_high << 32 | range->base_low", "range->base_low", "bios", "above 4 GB"),
    ("page directory entries are not cleared", LOADER + "paging.inc",
     "        rep     stosd                   ; with 1024 tables", "                  ; with 1024 tables",
     "bios", "page directory entries"),
    ("more than 1024 page tables", LOADER + "report.inc",
     "        xor     ecx, ecx                ; its lower part ends at 4 GB: 1:00000000h\n        mov     ebx, 1\n", "",
     "bios", "crosses 4 GB"),
    ("the page tables go over whatever is there", LOADER + "paging.inc",
     "        call    CheckPageTablePlace\n", "", "bios", "page tables"),
    ("BX wraps at 64 KB", LOADER + "disk.inc",
     "        add     dx, si\n        mov     es, dx\n",
     "        add     dx, si\n        and     dx, 0FFFh\n        or      dx, BaseOfKernelFile\n        mov     es, dx\n",
     "media", "past 64 KiB|past 128"),
    ("reads cross 64 KB pages and tracks", LOADER + "disk.inc",
     "        call    LimitToTrack            ; CX = what one call may ask for\n        call    LimitToDma\n", "",
     "media", "kernel of"),
    ("EBDA and INT 12h are taken for granted", LOADER + "loader.asm",
     "        call    CheckLowMemory\n", "", "bios", "EBDA begins inside|INT 12h says"),
    ("the boot sector loads over the EBDA", BOOT + "boot.asm",
     "        cmp     dx, [LastOffset]\n        ja      .too_big\n", "", "bios", "where the loader would begin"),
    ("p_filesz only: .bss is not cleared", LOADER + "elf.inc", "        call    MemZero\n", "", "media", "dirty|bss"),
    ("any type but PT_NULL is copied", LOADER + "elf.inc",
     "        cmp     dword [esi + P_TYPE], PT_LOAD\n        jne     .next                   ; notes",
     "                                        ; notes", "media", "not PT_LOAD"),
    ("the entry is hard-coded", LOADER + "loader.asm",
     "        jmp     far [dwKernelEntry] ", "        jmp     SelectorFlatC:KernelEntryPointPhyAddr ", "media",
     "not PT_LOAD"),
    ("ELF sizes are not checked", LOADER + "elf.inc",
     "        cmp     eax, [dwKernelFileSize]\n        ja      .bad_size\n", "", "media", "behind the end"),
    ("ELF places are not checked against the loader", LOADER + "elf.inc",
     "        cmp     edx, BaseOfLoaderPhyAddr\n        ja      .overlaps\n", "", "media", "loader"),
    ("ELF places are not checked against the map", LOADER + "elf.inc",
     "        call    RangeIsRam\n        jnz     .not_ram\n        call    CheckOverlap", "        call    CheckOverlap",
     "media", "video|no RAM|end of RAM"),
    ("a FAT chain ends at FFFh alone", BOOT + "boot.asm",
     "        cmp     di, FAT12_BAD\n        jbe     .cluster ", "        cmp     di, 0FFFh\n        jb      .cluster ", "media",
     "end with"),
    ("FF7h is taken for a cluster by the boot sector", BOOT + "boot.asm",
     "        cmp     ax, FAT12_BAD - FAT12_FIRST\n", "        cmp     ax, FAT12_BAD - 1\n", "media", "LOADER: FF7h"),
    ("FF7h is taken for a cluster by the loader", LOADER + "fat12.inc",
     "        cmp     ax, FAT12_BAD           ; FF8h", "        cmp     ax, 1000h               ; FF8h", "media",
     "KERNEL: FF7h", "        cmp     ax, FAT12_BAD\n        jae     BadChain\n        sub", "        sub",
     "        cmp     bx, FAT12_BAD\n        jae     BadChain\n", ""),
    ("endless retries in the boot sector", BOOT + "boot.asm",
     "        dec     si\n        jnz     .attempt\n", "        jmp     .attempt\n", "media", "LOADER.BIN: a sector"),
    ("endless retries in the loader", LOADER + "disk.inc",
     "        dec     bp\n        jnz     .attempt\n        stc", "        jmp     .attempt\n        stc", "media",
     "KERNEL.BIN: a sector"),
    ("CS is copied to DS", BOOT + "boot.asm",
     "        jmp     0:.cs_is_zero\n.cs_is_zero:\n        xor     ax, ax\n        mov     ds, ax\n",
     "        mov     ax, cs\n        mov     ds, ax\n        xor     ax, ax\n", "bios", "CS is 07C0h"),
    ("the drive is 0", BOOT + "boot.asm",
     "        mov     [BS_DrvNum], dl\n", "        mov     [BS_DrvNum], al\n", "boot", "disk with 16M and 1"),
    ("port 92h's reset bit", LOADER + "a20.inc",
     "        and     al, ~SYSTEM_A_RESET & 0FFh\n", "        or      al, SYSTEM_A_RESET\n", "bios", "A20"),
    ("A20 stays off", LOADER + "loader.asm",
     "        call    EnableA20 ", "                          ", "bios", "A20"),
    ("no limit at row 25", KERNEL + "screen.asm",
     "        cmp     edi, SCREEN_BYTES\n        jb      .next\n        call    scroll\n", "", "shell", "selftest"),
    ("an 8-bit divide and no limit at row 25", KERNEL + "screen.asm",
     "        xor     edx, edx\n        mov     ebx, ROW_BYTES\n        div     ebx ",
     "        mov     bl, ROW_BYTES\n        div     bl\n        and     eax, 0FFh ", "shell", "selftest",
     "        cmp     edi, SCREEN_BYTES\n        jb      .next\n        call    scroll\n", ""),
    ("disp_str destroys EBX", KERNEL + "screen.asm", "        push    ebx\n", "        push    eax\n", "shell",
     "selftest", "        pop     ebx\n", "        pop     ecx\n"),
    ("disp_str destroys ESI and EDI", KERNEL + "screen.asm",
     "        push    esi\n        push    edi\n", "        push    eax\n        push    eax\n", "shell", "selftest",
     "        pop     edi\n        pop     esi\n", "        pop     ecx\n        pop     ecx\n"),
    ("disp_str does not clear DF", KERNEL + "screen.asm", "        cld\n.next:", ".next:", "shell", "selftest"),
    ("memcpy does not clear DF", KERNEL + "string.asm",
     "        cld                             ; upwards, whatever the caller had\n", "", "shell", "selftest"),
    ("memcpy of 0 bytes goes round", KERNEL + "string.asm",
     "        test    ecx, ecx\n        jle     .done\n        cld                             ; upwards, whatever the caller had\n"
     "        rep     movsb\n", "        cld\n.byte:  movsb\n        loop    .byte\n", "shell", "selftest"),
    ("DF is not cleared at entry", BOOT + "boot.asm", "        cld\n        mov     [BS_DrvNum]", "        mov     [BS_DrvNum]",
     "bios", "garbage at entry", "        cld\n        ret\n", "        ret\n"),
    ("the GDT moves and the segment registers stay", KERNEL + "kernel.asm",
     "        mov     ds, ax\n        mov     es, ax\n        mov     fs, ax\n        mov     ss, ax\n", "", "build", "_start"),
    ("myadd misses the overflow", KERNEL + "myadd.asm", "        jo      .overflow ", "        jc      .overflow ", "shell",
     "selftest"),
    ("an exception is reported without its error code", KERNEL + "vectors.asm",
     "(n >= 10 && n <= 14)", "(n >= 10 && n <= 13)", "panic", "fault pf"),
    ("reserved memory inside RAM is handed out", KERNEL + "memory.c",
     "if (!is_ram(i) && ards_length(&memory_map[i]))", "if (0)", "bios", "hole in the middle"),
]


def plant(directory, fault):
    """A copy of the source with the fault in it, built."""
    name, file, old, new, _, _, *second = fault
    shutil.copytree(ROOT / "spark", directory / "spark")
    (directory / "Makefile").write_text("BUILD := build\nCC := gcc\nimages:\ninclude spark/spark.mk\n")
    path = directory / file
    text = path.read_text()
    for before, after in ((old, new), *zip(second[::2], second[1::2])):
        if before not in text:
            return f"{file} has no longer: {before!r}"
        text = text.replace(before, after)
    path.write_text(text)
    make = subprocess.run(["make", "-C", directory, "images"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if make.returncode == 0 else f"does not build: {make.stdout[-300:]}"


def try_fault(fault):
    with tempfile.TemporaryDirectory() as directory:
        trouble = plant(pathlib.Path(directory), fault)
        if trouble:
            return trouble
        environment = dict(os.environ, SPARK_IMAGES=f"{directory}/build", SPARK_PATIENCE="8")
        test = subprocess.run([sys.executable, ROOT / "tests" / "system" / f"spark_{fault[4]}.py", "--jobs", "1", "-k", fault[5]],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        if test.stdout.startswith("1..0"):
            return f"no test is called {fault[5]!r}"
        return None if test.returncode else f"not noticed by spark_{fault[4]}.py -k {fault[5]!r}"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-k", dest="pattern", default="")
    options.add_argument("--jobs", type=int, default=2)
    arguments = options.parse_args()
    chosen = [fault for fault in FAULTS if re.search(arguments.pattern, fault[0])]
    failed = 0
    print(f"1..{len(chosen)}")
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for number, (fault, trouble) in enumerate(zip(chosen, pool.map(try_fault, chosen)), 1):
            failed += trouble is not None
            print(f"{'not ok' if trouble else 'ok'} {number} - noticed: {fault[0]}" + (f"\n# {trouble}" if trouble else ""),
                  flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
