#!/usr/bin/env python3
"""What can be seen of spark without running it: the images, the build, the kernel's first instructions."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "spark"))
from fat12 import Floppy
from harness import ROOT, case, check, find, image, main

ANYWHERE = ("qemu", "hearth", "bochs")


def run(*command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    check(result.returncode == 0, f"{' '.join(map(str, command))}:\n{result.stdout}")
    return result.stdout


def kernel():
    path = image("floppy").parent / "spark" / "kernel.elf"
    check(path.exists(), f"{path} is missing")
    return path


@case("the floppy holds LOADER.BIN and KERNEL.BIN, and mtools reads it", machines=ANYWHERE)
def test_floppy(session):
    path = image("floppy")
    check(path.stat().st_size == 1474560, "not 1.44 MB")
    floppy = Floppy(path)
    check(floppy.bytes[510:512] == b"\x55\xaa", "no boot signature")
    check(floppy.read("KERNEL  BIN")[:4] == b"\x7fELF", "KERNEL.BIN is no ELF file")
    if shutil.which("mcopy"):
        with tempfile.TemporaryDirectory() as directory:
            run("mcopy", "-n", "-i", path, "::LOADER.BIN", "::KERNEL.BIN", directory)
            check(pathlib.Path(directory, "KERNEL.BIN").read_bytes() == floppy.read("KERNEL  BIN"), "mcopy disagrees")


@case("the disk has one active FAT12 partition, with the same files", machines=ANYWHERE)
def test_disk(session):
    data = image("disk").read_bytes()
    entry = data[446:462]
    check((entry[0], entry[4]) == (0x80, 0x01), "not an active FAT12 partition")
    start, size = (int.from_bytes(entry[at:at + 4], "little") for at in (8, 12))
    check((start + size) * 512 == len(data), "the partition does not end with the disk")
    with tempfile.NamedTemporaryFile() as partition:
        partition.write(data[start * 512:])
        partition.flush()
        volume = Floppy(partition.name)
    check(volume.clusters < 4085, "too many clusters for FAT12")
    floppy = Floppy(image("floppy"))
    for name in ("LOADER  BIN", "KERNEL  BIN"):
        check(volume.read(name) == floppy.read(name), f"another {name}")


@case("the CD boots the floppy by El Torito", machines=ANYWHERE)
def test_cd(session):
    data = image("cdrom").read_bytes()
    check(image("floppy").read_bytes() in data, "the floppy is not in it")
    if shutil.which("xorriso"):
        report = run("xorriso", "-indev", image("cdrom"), "-report_el_torito", "plain")
        find(r"BIOS +y +floppy|BIOS +y", report)
        find("SPARK.IMG", run("xorriso", "-indev", image("cdrom"), "-find", "/"))


@case("the same source gives the same bytes, and nothing is built twice", machines=ANYWHERE)
def test_reproducible(session):
    with tempfile.TemporaryDirectory() as directory:
        copy = pathlib.Path(directory)
        shutil.copytree(ROOT / "spark", copy / "spark")
        (copy / "Makefile").write_text("BUILD := build\nCC := gcc\nimages:\ninclude spark/spark.mk\n")
        run("make", "-C", copy, "images", env=dict(os.environ, SOURCE_DATE_EPOCH="0"))
        first = {name: (copy / "build" / name).read_bytes() for name in ("spark.img", "spark-disk.img", "spark.iso")}
        run("make", "-C", copy, "-q", "images")  # 0: nothing is out of date
        shutil.rmtree(copy / "build")
        run("make", "-C", copy, "images")
        for name, data in first.items():
            check((copy / "build" / name).read_bytes() == data, f"{name} differs")


@case("the ELF header lies at 30000h, the text at 30400h", machines=ANYWHERE)
def test_elf(session):
    find(r"LOAD +0x000000 0x00030000 ", run("readelf", "-lW", kernel()))
    find(r"00030400 T _start$", run("nm", kernel()))


@case("_start: stack, SGDT, cstart, LGDT, far jump, EFLAGS, all segment registers", machines=ANYWHERE)
def test_start(session):
    text = run("objdump", "-d", "-M", "intel", "--no-show-raw-insn", "--start-address=0x30400",
               "--stop-address=0x30460", kernel())
    order = [r"mov +esp,", r"sgdtd? ", r"call .*<cstart>", r"lgdtd? ", r"jmp +0x8:0x[0-9a-f]+", r"push +0x0", r"popf",
             r"mov +ds,", r"mov +es,", r"mov +fs,", r"mov +ss,", r"mov +gs,", r"call .*<kernel_main>"]
    at = 0
    for step in order:
        match = re.compile(step).search(text, at)
        check(match, f"{step!r} does not follow in:\n{text}")
        at = match.end()


@case("names and addresses are those of the document", machines=ANYWHERE)
def test_names(session):
    source = "\n".join(path.read_text() for path in sorted((ROOT / "spark").rglob("*.*"))
                       if path.suffix in (".asm", ".inc", ".c", ".h"))
    for pattern in (r"^BaseOfLoader +equ +9000h", r"^OffsetOfLoader +equ +0100h", r"^BaseOfKernelFilePhyAddr +equ",
                    r"^PageDirBase +equ +100000h", r"^PageTblBase +equ +101000h", r"^_dwMCRNumber", r"^_MemChkBuf",
                    r"^_dwMemSize", r"^LABEL_DESC_FLAT_C: *Descriptor +0, +0FFFFFh, DA_CR \| DA_32 \| DA_LIMIT_4K",
                    r"^LABEL_DESC_FLAT_RW: *Descriptor +0, +0FFFFFh, DA_DRW \| DA_32 \| DA_LIMIT_4K",
                    r"^SelectorFlatC +equ", r"^SelectorFlatRW +equ", r"^LABEL_PM_START:", r"^_?TopOfStack",
                    r"^DispMemInfo:", r"^SetupPaging:", r"^InitKernel:", r"^MemCpy:", r"#define GDT_SIZE 128",
                    r"#define PUBLIC", r"#define PRIVATE static", r"^StackTop:", r"^csinit:", r"^_start:",
                    r"\bcstart\(void\)", r"gdt_ptr\[6\]", r"DESCRIPTOR gdt\[GDT_SIZE\]", r"^myadd:", r"^disp_str:",
                    r"^disp_pos"):
        check(re.search(pattern, source, re.M), f"{pattern} is nowhere")


if __name__ == "__main__":
    sys.exit(main())
