#!/usr/bin/env python3
"""Debian's 64-bit kernel on the software CPU, started by -kernel: to a shell of busybox, and off again. No lab is booted
for this one; it shares the lab's kernel package."""
import os
import re
import subprocess
import sys
import tempfile

import lab

INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "guest: $(/bin/busybox uname -m)"
echo "guest: $(/bin/busybox free -m | /bin/busybox awk '/Mem:/{print $2}') MB"
echo "guest: $(/bin/busybox dd if=/dev/zero bs=1024 count=1024 | /bin/busybox sha256sum)"
echo "guest: $(/bin/busybox awk 'BEGIN{printf "%.12f %.6e", 22 / 7, 1 / 3e200}')"
/bin/busybox dmesg | /bin/busybox grep -E "unchecked MSR|BUG:|WARNING:|Oops:" | /bin/busybox sed 's/^/complaint: /'
/bin/busybox poweroff -f
"""
# What the host's own tools say of the same input.
EXPECTED = {
    "64-bit user space": r"guest: x86_64",
    "the memory it was given": r"guest: 4[0-9][0-9] MB",
    "SHA-256 of a MiB of zeros": r"guest: 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58",
    "floating point": r"guest: 3\.142857142857 3\.333333e-201",
    "power off": r"Power down",
}


def boot(image, guest):
    hearth = os.path.join(lab.ROOT, "build", "hearth")
    done = subprocess.run([hearth, "-accel", "soft", "-nographic", "-no-reboot", "-m", "512", "-kernel", image, "-initrd",
                           guest, "-append", "console=ttyS0 quiet panic=-1"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def main():
    with tempfile.TemporaryDirectory(prefix="linux-soft-") as folder:
        guest = os.path.join(folder, "initramfs")
        try:
            image, _ = lab.kernel()
            lab.initramfs(guest, INIT)
        except lab.Unavailable as why:
            return lab.skip_all(why)
        status, text = boot(image, guest)
    results = [(name, re.search(pattern, text)) for name, pattern in EXPECTED.items()]
    results.append(("no complaint in the kernel's log", "complaint:" not in text))
    results.append(("status 0", status == 0))
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not all(good for _, good in results):
        for line in text.splitlines()[-60:]:
            print(f"# {line}")
        return 1
    return 0


sys.exit(main())
