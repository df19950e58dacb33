#!/usr/bin/env python3
"""-drive, its short forms and -device ide-hd|ide-cd|floppy: what is understood, what is refused with QEMU's words, and media
that change while the machine runs."""
import os
import subprocess
import tempfile

from hearth import HEARTH, Machine, expect, image, main

FOLDER = tempfile.TemporaryDirectory(prefix="hearth-test-")
A, B = (os.path.join(FOLDER.name, name) for name in ("a.img", "b.img"))
RAW = f"file={A},format=raw"
NONE = f"{RAW},if=none,id=a"
OTHER = f"file={B},format=raw,if=none,id=b"

REFUSED = [
    (["-drive", f"{RAW},if=foo"], "unsupported bus type 'foo'"),
    (["-drive", f"file={A},format=foo"], "Unknown driver 'foo'"),
    (["-drive", f"{RAW},cache=foo"], "invalid cache option"),
    (["-drive", f"{RAW},media=foo"], "'foo' invalid media"),
    (["-drive", f"{RAW},discard=foo"], "Invalid discard option"),
    (["-drive", f"{RAW},aio=foo"], "invalid aio option"),
    (["-drive", f"{RAW},readonly=foo"], "Parameter 'readonly' expects 'on' or 'off'"),
    (["-drive", f"{RAW},bogus=foo"], "Block format 'raw' does not support the option 'bogus'"),
    (["-drive", f"{RAW},index=1,bus=0"], "index cannot be used with bus and unit"),
    (["-drive", f"{RAW},index=9"], "machine type does not support if=ide,bus=4,unit=1"),
    (["-hda", B, "-drive", f"{RAW},index=0"], "drive with bus=0, unit=0 (index=0) exists"),
    (["-drive", NONE, "-drive", f"file={B},if=none,id=a"], "Duplicate ID 'a' for drive"),
    (["-drive", f"file={FOLDER.name}/absent"], f"Could not open '{FOLDER.name}/absent': No such file or directory"),
    (["-drive", "if=ide"], "Device needs media, but drive is empty"),
    (["-device", "ide-hd"], "No drive specified"),
    (["-device", "ide-hd,drive=foo"], "Property 'ide-hd.drive' can't find value 'foo'"),
    (["-drive", NONE, "-device", "ide-hd,drive=a", "-device", "ide-hd,drive=a"],
     "Drive 'a' is already in use by another device"),
    (["-drive", NONE, "-device", "ide-hd,drive=a,unit=5"], "Can't create IDE unit 5, bus supports only 2 units"),
    (["-drive", NONE, "-device", "ide-hd,drive=a,bus=ide.5"], "Bus 'ide.5' not found"),
    (["-drive", NONE, "-device", "ide-hd,drive=a,bogus=1"], "Property 'ide-hd.bogus' not found"),
    (["-drive", NONE, "-drive", OTHER, "-device", "ide-hd,drive=a,bus=ide.0,unit=0", "-device",
      "ide-hd,drive=b,bus=ide.0,unit=0"], "IDE unit 0 is in use"),
    (["-drive", NONE, "-drive", OTHER, "-device", "ide-hd,drive=a,bootindex=1", "-device", "ide-hd,drive=b,bootindex=1"],
     "The bootindex 1 has already been used"),
]


def make_images():
    for path in (A, B):
        with open(path, "wb") as file:
            file.truncate(1 << 20)


def what_makes_no_sense_is_refused():
    make_images()
    for arguments, text in REFUSED:
        done = subprocess.run([HEARTH, "-accel", "soft", "-display", "none", *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        said = done.stderr.decode()
        expect(done.returncode == 1 and said.startswith("hearth: -") and said.endswith(f": {text}\n") and
               said.count("\n") == 1, f"{arguments}: status {done.returncode}, {said!r}")


def shown(*arguments):
    with Machine("-accel", "soft", "-S", *arguments) as machine:
        return machine.monitor.run("info block")


def in_any_order():
    """As other programs write it."""
    for drive in (f"file={A},if=ide,id=image0", f"file={A},index=1,media=disk,if=none,id=D",
                  f"file={A},if=ide,cache=none,discard=unmap,format=raw", f"format=raw,cache=unsafe,if=ide,file={A},aio=io_uring",
                  f"driver=raw,file={A},read-only=on", f"file={A},readonly"):
        text = shown("-drive", drive)
        expect(f"{A} (raw" in text, f"{drive}: {text}")
    expect("ide1-cd0: " in shown("-drive", f"file={B},media=cdrom,index=2"), "a CD-ROM drive's name")
    expect("writeback, direct" in shown("-drive", f"{RAW},cache=none"), "cache=none")
    expect("writethrough, direct" in shown("-drive", f"{RAW},cache=directsync"), "cache=directsync")
    expect("ignore flushes" in shown("-drive", f"{RAW},cache=unsafe"), "cache=unsafe")
    expect("raw, read-only" in shown("-drive", f"{RAW},readonly=on"), "readonly=on")


def a_pc_has_a_floppy_and_a_cdrom_drive():
    text = shown()
    expect("floppy0: [not inserted]" in text and "ide1-cd0: [not inserted]" in text, text)
    expect(shown("-nodefaults") == "", "-nodefaults")
    expect("ide1-cd0" not in shown("-drive", f"file={B},media=cdrom,index=0"), "one CD-ROM drive is enough")


def boots(*arguments):
    with Machine("-accel", "soft", *arguments) as machine:
        machine.wait_serial("spark> ")


def spark_boots_from_each():
    disk, iso, floppy = image("spark-disk.img"), image("spark.iso"), image("spark.img")
    boots("-drive", f"file={disk},if=none,id=d,format=raw,readonly=on", "-device", "ide-hd,drive=d,bus=ide.1,unit=1,serial=S1")
    boots("-drive", f"file={A},format=raw", "-drive", f"file={iso},if=none,id=c,format=raw", "-device",
          "ide-cd,drive=c,bootindex=0")
    boots("-hda", A, "-drive", f"file={floppy},if=none,id=f,format=raw,readonly=on", "-device", "floppy,drive=f,bootindex=3")
    boots("-drive", f"file={disk},cache=directsync,format=raw,if=ide,index=1,readonly=on")


def media_change():
    iso, floppy = image("spark.iso"), image("spark.img")
    with Machine("-accel", "soft", "-S", "-hda", A) as machine:
        run = machine.monitor.run
        expect(run(f"change ide1-cd0 {iso}") == "", "change")
        expect(f"ide1-cd0: {iso} (raw, read-only)" in run("info block"), "it is in")
        expect(run("eject ide1-cd0") == "" and "ide1-cd0: [not inserted]" in run("info block"), "eject")
        expect(run(f"change floppy0 {floppy} raw read-only") == "" and f"{floppy} (raw, read-only)" in run("info block"),
               "the floppy")
        expect(run("eject ide0-hd0") == "Error: Device 'ide0-hd0' is not removable", "a disk stays")
        expect(run("eject nobody") == "Error: Device 'nobody' not found", "an unknown device")
        expect("No such file" in run("change ide1-cd0 /nonexistent"), "an absent file")
        expect("invalid parameter" in run(f"change floppy0 {floppy} raw often"), "a bad mode")
        expect("lock" in run(f"change floppy0 {A}"), "an image in use")
        run("cont")
        machine.wait_serial("spark> ")  # from the floppy that was put in
        expect(run("eject floppy0") == "", "out again")


main([what_makes_no_sense_is_refused, in_any_order, a_pc_has_a_floppy_and_a_cdrom_drive, spark_boots_from_each, media_change])
