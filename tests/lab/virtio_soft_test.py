#!/usr/bin/env python3
"""Virtio devices on the software CPU: SeaBIOS boots spark from virtio-blk, and Debian's kernel with its own drivers finds all of
them, reads and writes the disk, takes random bytes, and speaks through a serial port. Prints TAP."""
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import lab

HEARTH = os.path.join(lab.ROOT, "build", "hearth")
MODULES = ["virtio_pci", "virtio_blk", "virtio_rng", "virtio_balloon", "virtio_console"]
MEGABYTES = 16
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "insmod $module failed"; done
echo "guest: disk of $(cat /sys/block/vda/size) sectors, serial $(cat /sys/block/vda/serial)"
echo "guest: read $(dd if=/dev/vda bs=1M count=8 2>/dev/null | sha256sum)"
dd if=/dev/vda of=/dev/vda bs=1M count=8 seek=8 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
echo "guest: copy $(dd if=/dev/vda bs=1M skip=8 count=8 2>/dev/null | sha256sum)"
echo "guest: random $(dd if=/dev/hwrng bs=256 count=1 2>/dev/null | wc -c) from $(cat /sys/class/misc/hw_random/rng_current)"
echo "guest: port $(cat /sys/class/virtio-ports/vport*/name)"
echo "through the port" >/dev/$(cd /sys/class/virtio-ports; echo vport*)
echo "guest: $(grep -c 'PCI-MSI.*virtio' /proc/interrupts) vectors"
dmesg | grep -E "WARNING:|BUG:|Oops:|virtio.*(fail|error)|I/O error" | sed 's/^/complaint: /'
poweroff -f
"""


def run(*arguments):
    done = subprocess.run([HEARTH, "-accel", "soft", "-no-reboot", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def spark(folder):
    """Boots from the disk; what it says at its prompt is enough, it powers off by the script on its serial line."""
    image = os.path.join(folder, "spark.img")
    shutil.copy(os.path.join(lab.ROOT, "build", "spark-disk.img"), image)
    process = subprocess.Popen([HEARTH, "-accel", "soft", "-display", "none", "-serial", "stdio", "-drive",
                                f"file={image},if=virtio,format=raw"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    text = b""
    while b"spark> " not in text:
        piece = process.stdout.read1(4096)
        if not piece:
            break
        text += piece
    process.stdin.write(b"poweroff\r")
    process.stdin.close()
    process.stdout.read()
    return process.wait(), text.decode(errors="replace")


def linux(folder, image, guest):
    disk, port = os.path.join(folder, "disk.img"), os.path.join(folder, "port")
    data = random.Random(1).randbytes(MEGABYTES << 20)
    with open(disk, "wb") as file:
        file.write(data)
    status, text = run("-nographic", "-m", "256", "-kernel", image, "-initrd", guest, "-append",
                       "console=ttyS0 quiet panic=-1", "-drive", f"file={disk},if=none,id=d,format=raw", "-device",
                       "virtio-blk-pci,drive=d,serial=hearth-disk", "-device", "virtio-rng-pci", "-device",
                       "virtio-balloon", "-device", "virtio-serial", "-chardev", f"file,id=port,path={port}",
                       "-device", "virtserialport,chardev=port,name=org.hearth.test")
    digest = hashlib.sha256(data[:8 << 20]).hexdigest()
    with open(disk, "rb") as file:
        written = file.read()
    with open(port, "rb") as file:
        said = file.read()
    return text, [
        ("finds the disk", f"guest: disk of {MEGABYTES << 11} sectors, serial hearth-disk" in text),
        ("reads it", f"guest: read {digest}" in text),
        ("writes it and reads that back", f"guest: copy {digest}" in text),
        ("what it wrote is in the image", written == data[:8 << 20] * 2),
        ("takes random bytes", re.search(r"guest: random 256 from virtio_rng", text)),
        ("finds the port by its name", "guest: port org.hearth.test" in text),
        ("writes to it", said == b"through the port\n"),
        ("is interrupted by messages", re.search(r"guest: ([4-9]|\d\d) vectors", text)),
        ("has nothing to complain of", "complaint:" not in text and "failed" not in text),
        ("powers off", status == 0),
    ]


def main():
    with tempfile.TemporaryDirectory(prefix="virtio-") as folder:
        guest = os.path.join(folder, "initramfs")
        try:
            image, _ = lab.kernel()
            lab.initramfs(guest, INIT, MODULES)
        except lab.Unavailable as why:
            return lab.skip_all(why)
        status, said = spark(folder)
        text, results = linux(folder, image, guest)
        results.insert(0, ("SeaBIOS boots spark from virtio-blk", status == 0 and "spark> " in said))
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if all(good for _, good in results):
        return 0
    for line in (said + text).splitlines()[-60:]:
        print(f"# {line}")
    return 1


sys.exit(main())
