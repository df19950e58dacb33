#!/usr/bin/env python3
"""A triple fault is explained: boot sectors with the usual beginner's faults, and what hearth says of them."""
import os
import re
import subprocess
import tempfile

from hearth import Machine, expect, main, wait_for

PROLOGUE = """
        bits    16
        org     0x7c00
        jmp     0:start
gdt:    dq      0
code:   dq      0x00cf9a000000ffff
data:   dq      0x00cf92000000ffff
ro:     dq      0x00cf90000000ffff
gdtr:   dw      gdtr - gdt - 1
        dd      gdt
idtr:   dw      0
        dd      0
start:  xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7000
        cli
        lidt    [idtr]
        lgdt    [gdtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     8:pm
        bits    32
pm:     mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
"""
EPILOGUE = """
        hlt
        times   510 - ($ - $$) db 0
        dw      0xaa55
        times   1474560 - ($ - $$) db 0
"""

# name: code after the prologue (or a whole replacement), what the explanation has to say
CASES = {
    "interrupt with an empty IDT": ("        mov ss, ax\n        mov esp, 0x7000\nhere:   int3\n", ["#BP", "int3", "IDT", "limit"]),
    "read-only stack segment": ("        mov ax, 0x18\nhere:   mov ss, ax\n", ["#GP", "mov ss, ax", "read-only", "0x18"]),
    "selector past the GDT's limit": ("        mov ax, 0x80\nhere:   mov ds, ax\n", ["#GP", "mov ds, ax", "limit", "0x80"]),
    "paging on without a mapping": ("""
        mov     edi, 0x100000
        mov     ecx, 1024
        xor     eax, eax
        cld
        rep     stosd
        mov     eax, 0x100000
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
here:   nop
""", ["#PF", "page directory", "present"]),
    "undefined instruction": ("here:   ud2\n", ["#UD", "ud2"]),
    "division by zero": ("        xor ebx, ebx\nhere:   div ebx\n", ["#DE", "div ebx"]),
    "far jump to a data segment": ("here:   jmp 0x10:0x7c00\n", ["#GP", "jmp", "code"]),
}


def assemble(folder, code):
    source, binary = os.path.join(folder, "boot.asm"), os.path.join(folder, "boot.img")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROLOGUE + code + EPILOGUE)
    listing = os.path.join(folder, "boot.lst")
    subprocess.run(["nasm", "-f", "bin", "-l", listing, "-o", binary, source], check=True)
    address = next(int(match.group(1), 16) for line in open(listing, encoding="ascii")
                   if (match := re.match(r"\s*\d+\s+([0-9A-F]{8})\s.*\bhere:", line)))
    return binary, 0x7c00 + address


def explained(code, words):
    with tempfile.TemporaryDirectory(prefix="hearth-test-") as folder:
        binary, address = assemble(folder, code)
        with Machine("-accel", "soft", "-fda", binary) as machine:
            status = machine.wait_end()
            text = machine.stderr()
            expect(status == 3, f"status {status}: {text}")
            for word in [*words, f"{address:x}"]:
                expect(word.lower() in text.lower(), f"{word!r} is not in: {text}")


def case(name):
    code, words = CASES[name]
    return name, lambda: explained(code, words)


def the_state_can_be_looked_at():
    with tempfile.TemporaryDirectory(prefix="hearth-test-") as folder:
        binary, address = assemble(folder, CASES["undefined instruction"][0])
        with Machine("-accel", "soft", "-no-shutdown", "-fda", binary) as machine:
            wait_for(lambda: "triple fault" in machine.monitor.run("info status"), "the triple fault")
            expect("#UD" in machine.monitor.run("info autopsy"), "info autopsy")
            expect("#UD" in machine.stderr(), "stderr")
            registers = machine.monitor.run("info registers")
            expect(f"EIP={address:08x}" in registers, registers)
            expect("ud2" in machine.monitor.run("x/1i $eip"), machine.monitor.run("x/1i $eip"))
            machine.monitor.run("system_reset")
            wait_for(lambda: machine.monitor.run("info status") == "VM status: paused", "reset")


main([case(name) for name in CASES] + [the_state_can_be_looked_at])
