#!/usr/bin/env python3
"""spark boots from floppy, disk and CD, with little and much memory, with one CPU and with many, and says of all of it
what was asked for."""

import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "spark"))
from harness import case, check, find, image, main

MEGABYTES = {"4M": 4, "16M": 16, "128M": 128, "3G": 3072, "3584M": 3584, "6G": 6144}
CPUS = (1, 4, 8)
FOUR_GB = 4096
# The most that a PC keeps to itself: the ROM hole below 1 MB, and the firmware's tables at the top of memory
KEPT_KB = 1024


def ranges(text):
    """The records that `e820` prints: (base, length, type)."""
    return [(int(b, 16), int(l, 16), int(t)) for b, l, t in
            re.findall(r"^([0-9A-F]{16}) ([0-9A-F]{16}) (\d+) ", text, re.M)]


def free_numbers(text):
    total, used, free = map(int, find(r"^below 4 GB +(\d+) +(\d+) +(\d+)", text).groups())
    high = int(find(r"^above 4 GB +(\d+) ", text).group(1))
    return total, used, free, high


def check_memory(machine, megabytes):
    records = ranges(machine.command("e820"))
    total, used, free, high = free_numbers(machine.command("free"))
    ram = [(base, length) for base, length, kind in records if kind == 1]
    below = sum(length for base, length in ram if base < FOUR_GB << 20) >> 10
    above = sum(length for base, length in ram if base >= FOUR_GB << 20) >> 10
    check((total, high) == (below, above), f"free says {total} and {high} KB, the map {below} and {above} KB")
    check(used + free == total, f"{used} + {free} is not {total}")
    given = megabytes * 1024
    check(given - KEPT_KB <= total + high <= given, f"{total + high} KB of the {given} KB given")
    tables = -(-given // 4096) * 4  # KB
    check(0 < used < 500 + min(tables, 4096), f"{used} KB used")
    check(free > 0, "nothing is free")


def check_paging(machine, megabytes):
    top = max(base + length for base, length, kind in ranges(machine.command("e820")) if kind == 1 and base < 1 << 32)
    last = top - 1
    text = machine.command(f"pages {last:08X}")
    find(rf"^directory +{last >> 22}: [0-9A-F]+  present, writable, user", text)
    find(rf"^physical address {last:08X}$", text)
    # One table for each 4 MB, rounded up, and no more: the entry after the last is empty. (Device registers near 4 GB
    # may have got a table later.)
    tables = (top + (1 << 22) - 1) >> 22
    if tables < 0x3EC:
        find(rf"^directory +{tables}: 00000000  not present", machine.command(f"pages {tables << 22:X}"))
    find(r"^directory +0: 00101\d\d\d  present", machine.command("pages 30400"))


def boot(kind, memory, cpus):
    @case(f"{kind} with {memory} and {cpus} CPU{'s' if cpus > 1 else ''}")
    def test(session):
        with session(**{kind: image(kind)}, memory=memory, smp=cpus) as machine:
            log = machine.boot()
            check("myadd(2, 3) answers 1, the sum is 5" in log, log)
            check_memory(machine, MEGABYTES[memory])
            check_paging(machine, MEGABYTES[memory])
            rows = re.findall(r"^ *\d+ +(\d+) +\d+ +\d+ +\d+$", machine.command("cpuinfo"), re.M)
            check(len(rows) == cpus and len(set(rows)) == cpus, f"cpuinfo shows CPUs with the APIC ids {rows}")


for kind in ("floppy", "disk", "cdrom"):
    for memory in MEGABYTES:
        for cpus in CPUS:
            boot(kind, memory, cpus)


for kind in ("floppy", "disk", "cdrom"):
    @case(f"{kind} in Bochs", machines=("bochs",))
    def test_bochs(session, kind=kind):
        with session(**{kind: image(kind)}, memory="32") as machine:
            machine.boot()
            check_memory(machine, 32)
            check_paging(machine, 32)


@case("64 GB: 3 GB are mapped, the rest is reported", machines=("qemu",))
def test_64g(session):
    # Memory from a sparse file: the host need not have 64 GB.
    with tempfile.TemporaryDirectory() as directory:
        backend = f"memory-backend-file,id=ram,size=64G,mem-path={directory}/ram,share=on"
        with session(floppy=image("floppy"), memory="64G", extra=("-object", backend, "-machine",
                                                                 "memory-backend=ram")) as machine:
            machine.boot()
            check_memory(machine, 65536)
            check_paging(machine, 65536)


@case("the loader's report stands on the screen")
def test_report(session):
    with session(floppy=image("floppy"), memory="64") as machine:
        machine.boot()
        text = "\n".join(machine.screen())
        find(r"^BaseAddrL BaseAddrH LengthLow LengthHigh   Type$", text)
        find(r"^00000000h 00000000h 0009[0-9A-F]{4}h 00000000h 00000001h$", text)
        find(r"^RAM size:03F[0-9A-F]{5}h$", text)
        find(r"^Memory map from INT 15h, E820h$", text)


@case("memory above 4 GB is reported, and not mapped")
def test_above_4g(session):
    with session(floppy=image("floppy"), memory="6G") as machine:
        log = machine.boot()
        find(r"^Memory above 4 GB: 3072 MB, not mapped$", log)
        find(r"^RAM size:[B-F][0-9A-F]{7}h and above 4 GB, not mapped: 3072 MB$", "\n".join(machine.screen()))
        find(r"not present|physical address F0000000", machine.command("pages F0000000"))


@case("GDT: null, two flat ones, the screen", machines=("qemu", "hearth", "bochs"))
def test_gdt(session):
    with session(floppy=image("floppy"), memory="16") as machine:
        machine.boot()
        text = machine.command("gdt")
        find(r"^0008      00000000 FFFFFFFF 0    32-bit code, readable$", text)
        find(r"^0010      00000000 FFFFFFFF 0    32-bit data, writable$", text)
        find(r"^0018      000B8000 ", text)
        find(r"^CS=0008 DS=0010 ES=0010 FS=0010 GS=001B SS=0010 ", machine.command("regs"))


if __name__ == "__main__":
    sys.exit(main())
