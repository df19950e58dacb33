"""Puts shim.asm, a BIOS with bad manners, before spark's boot sector. The flags' names are those of shim.asm."""

import pathlib
import struct
import subprocess
import tempfile

E820_FAILS, E820_ENDS_CF, E820_ENDLESS, E820_NO_SMAP, E820_ONLY_20 = 1, 2, 4, 8, 0x10
E801_FAILS, F88_FAILS, SPOIL, GARBAGE, CS_07C0, A20_OFF = 0x20, 0x40, 0x80, 0x100, 0x200, 0x400
MOVE_EBDA, E801_IN_CXDX = 0x800, 0x1000

SECTOR, BODY_SECTOR, TRUE_BOOT = 512, 2860, 2879
HERE = pathlib.Path(__file__).resolve().parent


def assemble():
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "shim"
        subprocess.run(["nasm", "-f", "bin", "-o", out, HERE / "shim.asm"], check=True)
        return bytearray(out.read_bytes())


def install(floppy, flags=0, fail_reads=0, drive=0xFF, low_kb=0, ebda=0, bad=(0xFFFF, 0), e801=(0, 0), f88=0, e820=()):
    """Changes a Floppy. e820: (base, length, type) or (base, length, type, attributes)."""
    code = assemble()
    if ebda:
        flags |= MOVE_EBDA
    struct.pack_into("<HBB8H", code, SECTOR, flags, fail_reads, drive, low_kb, ebda, *bad, *e801, f88, len(e820))
    for index, (base, length, kind, *attributes) in enumerate(e820):
        struct.pack_into("<QQII", code, SECTOR + 22 + 24 * index, base, length, kind, *(attributes or [1]))
    image = floppy.bytes
    image[TRUE_BOOT * SECTOR:(TRUE_BOOT + 1) * SECTOR] = image[:SECTOR]
    body = code[SECTOR:]
    image[BODY_SECTOR * SECTOR:BODY_SECTOR * SECTOR + len(body)] = body
    image[:SECTOR] = code[:SECTOR]
    return floppy
