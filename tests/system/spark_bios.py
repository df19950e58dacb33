#!/usr/bin/env python3
"""spark on PCs whose BIOS has bad manners: tests/spark/shim.asm plays them."""

import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "spark"))
import shim
from fat12 import Floppy
from harness import case, check, find, image, main

MB = 1 << 20
# What a PC with 16 MB would say, RAM in several pieces and not in order
PLAIN = [(0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0xF0000, 0x10000, 2), (MB, 15 * MB, 1), (0xFFFC0000, 0x40000, 2)]


def start(session, memory="16", change=None, **options):
    floppy = Floppy(image("floppy"))
    if change:
        change(floppy)
    shim.install(floppy, **options)
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        floppy.save(file.name)
        return session(floppy=file.name, memory=memory)


def records(machine):
    return [(int(b, 16), int(l, 16), int(t)) for b, l, t in
            re.findall(r"^([0-9A-F]{16}) ([0-9A-F]{16}) (\d+) ", machine.command("e820"), re.M)]


def boots(name, **options):
    @case(name)
    def test(session):
        with start(session, **options) as machine:
            machine.boot()
            find(r"^selftest: all is well$", machine.command("selftest"))


boots("CS is 07C0h at entry", flags=shim.CS_07C0)
boots("registers, DF and segments are garbage at entry, and after each BIOS call", flags=shim.SPOIL)
boots("and all of that with an E820 list", flags=shim.SPOIL, e820=PLAIN)
boots("A20 is off at entry", flags=shim.A20_OFF)
boots("everything at once", flags=shim.CS_07C0 | shim.SPOIL | shim.GARBAGE | shim.A20_OFF | shim.E820_ENDS_CF,
      e820=PLAIN, fail_reads=3)
boots("the EBDA begins at 9B000h", ebda=0x9B00, low_kb=0x9B000 // 1024)


@case("memory is full of garbage: all page directory entries behind the last table are 0")
def test_garbage(session):
    with start(session, flags=shim.GARBAGE) as machine:
        machine.boot()
        for entry in (4, 5, 100, 700):
            find(rf"^directory +{entry}: 00000000  not present$", machine.command(f"pages {entry << 22:X}"))
        find(r"^selftest: all is well$", machine.command("selftest"))


def gives(name, expected, method="E820", memory="16", **options):
    @case(f"memory map: {name}")
    def test(session):
        with start(session, memory, **options) as machine:
            machine.boot()
            seen = records(machine)
            check(seen == expected, f"the map is {seen}, not {expected}")
            find(rf"^{len(expected)} records from INT 15h, {method}h", machine.command("e820"))


gives("the plain one", PLAIN, e820=PLAIN)
gives("it ends with CF instead of EBX = 0", PLAIN, e820=PLAIN, flags=shim.E820_ENDS_CF)
gives("20 bytes and no more are asked for", PLAIN, e820=PLAIN, flags=shim.E820_ONLY_20)
gives("backwards", PLAIN[::-1], e820=PLAIN[::-1])

# More than the usual listings' buffers of 12 entries, more than 20, and as many as there is room for
for count in (13, 21, 40, 128):
    pieces = PLAIN[:3] + [(MB + index * 4096, 4096, 1) for index in range(count - 5)] + \
             [(MB + (count - 5) * 4096, 15 * MB - (count - 5) * 4096, 1), PLAIN[4]]
    gives(f"{count} entries", pieces, e820=pieces)


@case("memory map: 140 entries, of which 128 fit; the others are counted")
def test_overflow(session):
    pieces = PLAIN[:3] + [(MB, 15 * MB, 1)] + [(0xF0000000 + index * 4096, 4096, 2) for index in range(136)]
    with start(session, e820=pieces) as machine:
        log = machine.boot()
        find(r"records lost for want of room: 12$", "\n".join(machine.screen()))
        find(r"^The loader had no room for 12 records of the memory map$", log)
        check(records(machine) == pieces[:128], "other records than the first 128")
        find(r"^128 records from INT 15h, E820h; 12 more for which there was no room$", machine.command("e820"))


@case("memory map: a list that never ends is left, and what it said is used")
def test_endless(session):
    with start(session, e820=PLAIN, flags=shim.E820_ENDLESS) as machine:
        machine.boot()
        check(records(machine)[:5] == PLAIN, "the list is not what was given first")
        find(r"^below 4 GB +1\d{4} ", machine.command("free"))


@case("memory map: a record that ACPI 3.0 says to ignore is not used as RAM")
def test_attributes(session):
    ignored = PLAIN[:3] + [(MB, 7 * MB, 1, 1), (8 * MB, 8 * MB, 1, 0), PLAIN[4]]
    with start(session, e820=ignored) as machine:
        machine.boot()
        find(r"^0000000000800000 0000000000800000 1 RAM, to be ignored", machine.command("e820"))
        total = int(find(r"^below 4 GB +(\d+) ", machine.command("free")).group(1))
        check(total == 0x9FC00 // 1024 + 7 * 1024, f"{total} KB")


@case("memory map: RAM above 4 GB does not alias RAM below")
def test_high(session):
    high = PLAIN + [(4 << 30, 2 << 30, 1), ((4 << 30) + 5 * MB, 0, 1)]
    with start(session, e820=high) as machine:
        find(r"^Memory above 4 GB: 2048 MB, not mapped$", machine.boot())
        find(r"^above 4 GB +2097152 ", machine.command("free"))
        find(r"^RAM below 4 GB ends at 001000000h$", machine.command("free"))
        find(r"^directory +4: 00000000  not present$", machine.command("pages 1000000"))
        find(r"^directory +3: 00104\d\d\d  present", machine.command("pages C00000"))


@case("memory map: RAM that crosses 4 GB is clipped, and 1024 tables are the most")
def test_crossing(session):
    crossing = PLAIN[:3] + [(MB, (5 << 30) - MB, 1)]
    with start(session, memory="64", e820=crossing) as machine:
        log = machine.boot()
        find(r"^Memory above 4 GB: 1024 MB, not mapped$", log)
        find(r"RAM size:00000001h 00000000h", machine.wait_screen("RAM size"))
        find(r"^directory +1023: 00500\d\d\d  present", machine.command("pages FFFFF000"))
        find(r"^RAM below 4 GB ends at 100000000h$", machine.command("free"))


@case("memory map: a hole in the middle of RAM is never handed out")
def test_hole(session):
    hole = PLAIN[:3] + [(MB, 7 * MB, 1), (12 * MB, 4 * MB, 1), (6 * MB, MB, 2)]
    with start(session, e820=hole) as machine:
        machine.boot()
        total, used, free = map(int, find(r"^below 4 GB +(\d+) +(\d+) +(\d+)", machine.command("free")).groups())
        check(total == 0x9FC00 // 1024 + 11 * 1024, f"{total} KB")
        check(used + free == total and used > 1024, "the reserved MB inside RAM counts as free")


gives("E820 fails: E801", [(0, 0x9C000, 1), (MB, 7 * MB, 1)], "E801", flags=shim.E820_FAILS, e801=(7 * 1024, 0))
gives("E801 with memory above 16 MB", [(0, 0x9C000, 1), (MB, 15 * MB, 1), (16 * MB, 16 * MB, 1)], "E801", memory="32",
      flags=shim.E820_FAILS, e801=(15 * 1024, 256))
gives("E801 that answers in CX and DX", [(0, 0x9C000, 1), (MB, 15 * MB, 1), (16 * MB, 16 * MB, 1)], "E801",
      memory="32", flags=shim.E820_FAILS | shim.E801_IN_CXDX, e801=(15 * 1024, 256))
gives("E820 without 'SMAP' in EAX counts as a failure", [(0, 0x9C000, 1), (MB, 7 * MB, 1)], "E801",
      flags=shim.E820_NO_SMAP, e820=PLAIN, e801=(7 * 1024, 0))
gives("E820 and E801 fail: 88h", [(0, 0x9C000, 1), (MB, 5 * MB, 1)], "88", flags=shim.E820_FAILS | shim.E801_FAILS,
      f88=5 * 1024)


@case("the screen says which call answered")
def test_source(session):
    with start(session, flags=shim.E820_FAILS, e801=(7 * 1024, 0)) as machine:
        machine.boot()
        machine.wait_screen(r"Memory map from INT 15h, E801h \(E820h fails\)")
    with start(session, flags=shim.E820_FAILS | shim.E801_FAILS, f88=5 * 1024) as machine:
        machine.boot()
        machine.wait_screen(r"Memory map from INT 15h, 88h \(E820h and E801h fail\)")


def stops(name, message, **options):
    @case(name)
    def test(session):
        with start(session, **options) as machine:
            machine.wait_screen(message, 15)


stops("no memory map at all", "INT 15h, E820h, E801h and 88h all fail",
      flags=shim.E820_FAILS | shim.E801_FAILS | shim.F88_FAILS)
stops("the EBDA begins inside the loader", "Low memory ends too early", ebda=0x9200)
stops("INT 12h says that low memory ends inside the loader", "Low memory ends too early", low_kb=0x92800 // 1024)
stops("INT 12h says that low memory ends where the loader would begin", "LOADER.BIN: too big", low_kb=577)
stops("no RAM for the page tables: they are not put there", "No room for the page tables at 100000h",
      e820=[(0, 0x9FC00, 1), (MB, 0x1800, 1), (64 * MB, 64 * MB, 1)])
stops("reserved memory among the page tables", "No room for the page tables at 100000h",
      e820=PLAIN + [(0x102000, 0x1000, 2)])
stops("no RAM of type 1", "No RAM in the memory map", e820=[(0, 16 * MB, 2)])


@case("the drive number comes from DL")
def test_drive(session):
    with start(session, drive=0x01) as machine:  # there is no second drive: nothing but an error is right
        machine.wait_screen("LOADER.BIN: read error", 30)


if __name__ == "__main__":
    sys.exit(main())
