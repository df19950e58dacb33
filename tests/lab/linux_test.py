#!/usr/bin/env python3
"""Debian's kernel in hearth on a real KVM, started by -kernel: as a bzImage and by the PVH entry of the ELF file in
it, with FULL=1 also on two CPUs; what it says of memory, tables and devices."""
import lzma
import os
import struct
import sys
import tempfile

import lab

INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "guest: shell"
echo "guest: $(/bin/busybox grep -c ^processor /proc/cpuinfo) CPUs"
/bin/busybox poweroff -f
"""
APPEND = "console=ttyS0 panic=-1"


def unpack(image, path):
    """The ELF kernel out of a bzImage; False if it is not packed by xz. Offsets: Linux, Documentation/arch/x86/boot.rst."""
    with open(image, "rb") as file:
        data = file.read()
    offset, length = struct.unpack_from("<II", data, 0x248)
    offset += (data[0x1f1] + 1) * 512
    if data[offset:offset + 6] != b"\xfd7zXZ\0":
        return False
    with open(path, "wb") as file:
        file.write(lzma.LZMADecompressor().decompress(data[offset:offset + length]))
    return True


def boots(name, cpus, arguments="", kernel="/guest/vmlinuz"):
    return lab.Test(name, f"sh /linux.sh {cpus} {kernel} {arguments} -append '{APPEND}'", 240)


TESTS = [boots("one CPU", 1)]
# Two CPUs of a nested guest on the lab's one take minutes when the host is busy, and QEMU's TCG gets stuck at times.
if os.environ.get("FULL"):
    TESTS.append(boots("two CPUs", 2))


def main():
    with tempfile.TemporaryDirectory(prefix="lab-guest-") as folder:
        guest = os.path.join(folder, "initramfs")
        try:
            lab.initramfs(guest, INIT)
            image, _ = lab.kernel()
        except lab.Unavailable as why:
            sys.exit(lab.skip_all(why))
        files = {os.path.join(lab.ROOT, "build", "hearth"): "/build/hearth", guest: "/guest/initramfs",
                 image: "/guest/vmlinuz", os.path.join(lab.ROOT, "tests", "lab", "linux.sh"): "/linux.sh"}
        elf = os.path.join(folder, "vmlinux")
        if unpack(image, elf):
            TESTS.append(boots("PVH, no screen", 1, "-vga none", "/guest/vmlinux"))
            files[elf] = "/guest/vmlinux"
        else:
            print("# PVH is left out: the kernel is not packed by xz")
        lab.main(TESTS, files)


main()
