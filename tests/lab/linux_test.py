#!/usr/bin/env python3
"""Debian's kernel in hearth on a real KVM, started by -kernel: with one CPU and two,
and what it says of memory, tables and devices."""
import os
import shutil
import stat
import sys
import tempfile

import lab

INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "guest: shell"
echo "guest: $(/bin/busybox grep -c ^processor /proc/cpuinfo) CPUs"
/bin/busybox poweroff -f
"""
APPEND = "console=ttyS0 panic=-1"


def initramfs(path, busybox):
    with open(path, "wb") as output:
        archive = lab.Archive(output)
        for folder in ("/dev", "/proc"):
            archive.folder(folder)
        archive.entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        with open(busybox, "rb") as file:
            archive.add("/bin/busybox", file.read())
        archive.add("/init", INIT)
        archive.end()


def boots(name, cpus, arguments=""):
    return lab.Test(name, f"sh /linux.sh {cpus} {arguments} -append '{APPEND}'", 240)


TESTS = [
    boots("one CPU", 1),
    boots("two CPUs, no screen", 2, "-vga none"),
]


def main():
    busybox = shutil.which("busybox")
    with tempfile.TemporaryDirectory(prefix="lab-guest-") as folder:
        guest = os.path.join(folder, "initramfs")
        try:
            if not busybox:
                raise lab.Unavailable("no static busybox: sudo apt-get install busybox-static")
            initramfs(guest, busybox)
            image, _ = lab.kernel()
        except lab.Unavailable as why:
            sys.exit(lab.skip_all(why))
        lab.main(TESTS, {os.path.join(lab.ROOT, "build", "hearth"): "/build/hearth", guest: "/guest/initramfs",
                         image: "/guest/vmlinuz", os.path.join(lab.ROOT, "tests", "lab", "linux.sh"): "/linux.sh"})


main()
