#!/usr/bin/env python3
"""Boot sector and loader against disks that are incomplete, fragmented or broken: what can be read is read, and what
cannot is named on the screen."""

import pathlib
import random
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "spark"))
import elf
import shim
from fat12 import BAD, Floppy
from harness import case, check, find, image, main

LOADER, KERNEL = "LOADER  BIN", "KERNEL  BIN"
PROBE = HERE.parent / "spark" / "probe.asm"


def start(session, floppy, **options):
    """A machine with this floppy; the file lives as long as the machine needs it, which has opened it by then."""
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        floppy.save(file.name)
        return session(floppy=file.name, **options)


def boots(name, change):
    @case(name)
    def test(session):
        floppy = Floppy(image("floppy"))
        change(floppy)
        with start(session, floppy) as machine:
            machine.boot()


def stops(name, message, change):
    @case(name)
    def test(session):
        floppy = Floppy(image("floppy"))
        change(floppy)
        with start(session, floppy) as machine:
            machine.wait_screen(message, 15)


# ---- what must not boot, and what it says

stops("LOADER.BIN missing", r"(?m)^LOADER.BIN: not found$", lambda f: f.remove(LOADER))
stops("KERNEL.BIN missing", r"(?m)^KERNEL.BIN: not found$", lambda f: f.remove(KERNEL))
stops("LOADER.BIN is a directory", r"LOADER.BIN: not found",
      lambda f: f.bytes.__setitem__(f.entry(LOADER) + 11, 0x10))
stops("KERNEL.BIN is a directory", r"KERNEL.BIN: not found",
      lambda f: f.bytes.__setitem__(f.entry(KERNEL) + 11, 0x10))
stops("LOADER.BIN without a cluster", r"LOADER.BIN: bad FAT", lambda f: f.set_first(LOADER, 0))
stops("KERNEL.BIN of 0 bytes", r"KERNEL.BIN: empty", lambda f: f.set_size(KERNEL, 0))
stops("KERNEL.BIN of 4 GB, says the directory", r"KERNEL.BIN: bad size", lambda f: f.set_size(KERNEL, 0xFFFFFFFF))
stops("KERNEL.BIN of 1 GB, says the directory", r"KERNEL.BIN: (too big|bad FAT chain)",
      lambda f: f.set_size(KERNEL, 1 << 30))
stops("LOADER.BIN is too big for the memory below 640 KB", r"LOADER.BIN: too big",
      lambda f: f.write(LOADER, bytes(70000)))


def break_chain(name, index, value):
    return lambda f: f.set(f.chain(f.first(name))[index], value)


for file, message in ((LOADER, "LOADER.BIN: bad FAT"), (KERNEL, "KERNEL.BIN: bad FAT chain")):
    label = file[:6]
    stops(f"{label}: FF7h in the chain is a bad cluster", message, break_chain(file, 2, BAD))
    stops(f"{label}: FF7h in place of the last cluster", message, break_chain(file, -2, BAD))
    stops(f"{label}: the chain leads to cluster 0", message, break_chain(file, 2, 0))
    stops(f"{label}: the chain leads to cluster 1", message, break_chain(file, 2, 1))
stops("KERNEL: the chain ends before the file does", "KERNEL.BIN: bad FAT chain", break_chain(KERNEL, 2, 0xFFF))


def circle(file):
    def change(floppy):
        chain = floppy.chain(floppy.first(file))
        floppy.set(chain[-1], chain[0])
    return change


stops("LOADER: a chain that bites its tail", "LOADER.BIN: too big", circle(LOADER))
boots("KERNEL: a chain that bites its tail behind the end is read once", circle(KERNEL))


def bad_sectors(name, index):
    def change(floppy):
        sector = floppy.cluster_at(floppy.chain(floppy.first(name))[index]) // 512
        shim.install(floppy, bad=(sector, sector))
    return change


stops("LOADER.BIN: a sector that cannot be read, after a bounded number of tries", "LOADER.BIN: read error",
      bad_sectors(LOADER, 3))
stops("KERNEL.BIN: a sector that cannot be read, after a bounded number of tries", "KERNEL.BIN: read error",
      bad_sectors(KERNEL, 40))
stops("the FAT cannot be read", "LOADER.BIN: read error", lambda f: shim.install(f, bad=(1, 1)))
stops("the root directory cannot be read", "LOADER.BIN: read error", lambda f: shim.install(f, bad=(f.root, f.root)))
boots("the first four reads fail, then all is well", lambda f: shim.install(f, fail_reads=4))

# ---- what must boot

for end in (0xFF8, 0xFF9, 0xFFB, 0xFFE, 0xFFF):
    def ends(floppy, end=end):
        floppy.write(LOADER, floppy.read(LOADER), end=end)
        floppy.write(KERNEL, floppy.read(KERNEL), end=end)
    boots(f"chains that end with {end:03X}h", ends)


def shuffled(seed):
    def change(floppy):
        loader, kernel = floppy.read(LOADER), floppy.read(KERNEL)
        floppy.write(LOADER, loader, seed=seed)
        floppy.write(KERNEL, kernel, seed=seed + 1)
    return change


def backwards(floppy):
    kernel = floppy.read(KERNEL)
    floppy.write(KERNEL, kernel, clusters=list(reversed(floppy.free()))[:200])


def last_clusters(floppy):
    loader, kernel = floppy.read(LOADER), floppy.read(KERNEL)
    floppy.write(LOADER, loader, clusters=floppy.free()[-len(loader) // 512 - 8:])
    floppy.write(KERNEL, kernel, clusters=floppy.free()[-300:])


for seed in (1, 2):
    boots(f"fragmented files, seed {seed}", shuffled(seed))
boots("KERNEL.BIN lies backwards on the disk", backwards)
boots("the files lie at the end of the disk", last_clusters)


def crowded_directory(floppy):
    """The two entries come last of all, behind deleted ones, long names and a volume label."""
    root = floppy.root * 512
    entries = [bytes(floppy.bytes[floppy.entry(name):floppy.entry(name) + 32]) for name in (KERNEL, LOADER)]
    for index in range(floppy.root_entries):
        filler = b"\xe5" + b"OADER  BIN" if index % 3 == 0 else b"FILE%04dTXT" % index
        floppy.bytes[root + index * 32:root + index * 32 + 32] = filler + b"\x20" + bytes(20)
    long_name = b"LOADER  BIN" + b"\x0f" + bytes(20)
    floppy.bytes[root + 32:root + 64] = long_name
    for index, entry in zip((-1, -2), entries):
        at = root + (floppy.root_entries + index) * 32
        floppy.bytes[at:at + 32] = entry


boots("the files come last in a full root directory", crowded_directory)

# ---- large kernels: a probe adds up what was loaded


def probe_kernel(size, address, seed=7, memsz=0):
    data = random.Random(seed).randbytes(size)
    total = 0
    for byte in data + bytes(memsz):
        total = ((total << 1 | total >> 31) & 0xFFFFFFFF) + byte & 0xFFFFFFFF
    code = elf.assemble(PROBE, PLACE=0x30400, START=address, LENGTH=size + memsz, SUM=total)
    return elf.build([dict(address=0x30400, data=code), dict(address=address, data=data, memsz=size + memsz)], 0x30400)


def probe(name, size, address, seed=None, memory="16", flags=0, memsz=0):
    @case(name)
    def test(session):
        floppy = Floppy(image("floppy"))
        floppy.write(KERNEL, probe_kernel(size, address, memsz=memsz), seed=seed)
        if flags:
            shim.install(floppy, flags=flags)
        with start(session, floppy, memory=memory) as machine:
            machine.wait(r"^probe: the sum is right$", 20)


probe("a kernel of 20 KiB", 20 << 10, 0x200000)
probe("a kernel of 70 KiB, past 64 KiB, fragmented", 70 << 10, 0x200000, seed=3)
probe("a kernel of 150 KiB, past 128 KiB, fragmented", 150 << 10, 0x200000, seed=4)
probe("a kernel of 190 KiB, the last that fits below the loader", 190 << 10, 0x200000)
probe("a kernel of 400 KiB, read above 1 MB, fragmented", 400 << 10, 0x400000, seed=5)
probe("a kernel of 1.3 MiB, nearly the whole floppy", 1330 << 10, 0x800000, seed=6)
probe("a kernel of 400 KiB on 4 MB", 400 << 10, 0x300000, memory="4")
probe("memory behind p_filesz is cleared, though it was dirty", 1000, 0x70000 - 0x20000, flags=shim.GARBAGE,
      memsz=0x8000)
probe("a segment that is .bss alone", 0, 0x50000, flags=shim.GARBAGE, memsz=0x8000)


@case("a kernel that is too big for the memory is refused")
def test_too_big(session):
    floppy = Floppy(image("floppy"))
    floppy.write(KERNEL, probe_kernel(1330 << 10, 0x200000))
    with start(session, floppy, memory="2") as machine:
        machine.wait_screen(r"KERNEL.BIN: too big for the memory of this machine", 15)


# ---- ELF files that must be refused

PROBE_CODE = dict(address=0x30400, data=b"\xeb\xfe")


def refused(name, message, segments=None, entry=0x30400, kernel=None, memory="16", **header):
    @case(f"ELF: {name}")
    def test(session):
        floppy = Floppy(image("floppy"))
        floppy.write(KERNEL, kernel or elf.build(segments or [PROBE_CODE], entry, **header))
        with start(session, floppy, memory=memory) as machine:
            machine.wait_screen("KERNEL.BIN: " + message, 15)


def data_at(address, **more):
    return [PROBE_CODE, dict(address=address, data=b"data" * 64, **more)]


OVERWRITE = "a segment would overwrite the loader, its buffers or the page tables"
NOT_RAM = "a segment is not in RAM that the memory map lets us use"
BAD_SIZE = "a segment has a bad size or offset"
TABLE = "bad program header table"
refused("no magic", "not an ELF file", magic=b"\x7fELG")
refused("shorter than its header", "not an ELF file", kernel=b"\x7fELF\x01\x01\x01")
refused("64-bit", "not an executable for a 32-bit 80386", elf_class=2)
refused("big endian", "not an executable for a 32-bit 80386", order=2)
refused("for another machine", "not an executable for a 32-bit 80386", machine=62)
refused("not an executable", "not an executable for a 32-bit 80386", type=1)
refused("program headers of another size", TABLE, phentsize=56)
refused("no program headers", TABLE, phnum=0)
refused("more program headers than bytes", TABLE, phnum=0xFFFF)
refused("program headers behind the file", TABLE, phoff=0x10000)
refused("program headers that wrap round", TABLE, phoff=0xFFFFFFF0)
refused("bytes behind the end of the file", BAD_SIZE, data_at(0x200000, filesz=0x10000, memsz=0x10000))
refused("an offset that wraps round", BAD_SIZE, data_at(0x200000, offset=0xFFFFFFF0))
refused("p_filesz larger than p_memsz", BAD_SIZE, data_at(0x200000, memsz=16))
refused("a place that wraps round", BAD_SIZE, data_at(0xFFFFFF80, memsz=0x1000))
refused("on the interrupt vectors", OVERWRITE, data_at(0x400))
refused("on the loader", OVERWRITE, data_at(0x90180))
refused("across the loader", OVERWRITE, data_at(0x50000, memsz=0x45000))
refused("on the file itself", OVERWRITE, data_at(0x60010))
refused("on the page directory", OVERWRITE, data_at(0x100080))
refused("on the last page table", OVERWRITE, data_at(0x104F80))
refused("across the page tables", OVERWRITE, data_at(0x104F80, memsz=0x1000))
refused("on video memory", NOT_RAM, data_at(0xB8000))
refused("on the BIOS", NOT_RAM, data_at(0xF0000))
refused("where there is no RAM", NOT_RAM, data_at(0x10000000))
refused("across the end of RAM", NOT_RAM, data_at(0xFC0000, memsz=0x60000))
refused("an entry outside of every segment", "its entry is in no segment that is code", entry=0x40000)
refused("an entry in a segment that is not code", "its entry is in no segment that is code",
        [dict(address=0x30400, data=b"\xeb\xfe", flags=elf.PF_R)])


@case("ELF: segments that are not PT_LOAD are left alone, and the entry is e_entry")
def test_other_types(session):
    code = elf.assemble(PROBE, PLACE=0x40000, START=0x200000, LENGTH=1, SUM=1)
    segments = [dict(address=0x30400, data=b"\xeb\xfe"), dict(address=0x200000, data=b"\1"),
                dict(address=0x40000, data=code),
                dict(address=0x200000, data=b"\x55" * 64, type=4),          # PT_NOTE
                dict(address=0x90100, data=b"\x55" * 64, type=0x6474E551),  # PT_GNU_STACK
                dict(address=0xF0000, data=b"\x55" * 64, type=0)]           # PT_NULL
    floppy = Floppy(image("floppy"))
    floppy.write(KERNEL, elf.build(segments, 0x40000))
    with start(session, floppy) as machine:
        machine.wait(r"^probe: the sum is right$", 20)


if __name__ == "__main__":
    sys.exit(main())
