#!/usr/bin/env python3
"""What a guest was told is on its disk is in the image, however hearth ends: Debian's kernel writes and fsyncs numbered blocks on
ext4, on an IDE disk (raw) and a virtio disk (qcow2), and hearth is killed in the middle. FULL=1: ten times instead of two. Prints
TAP."""
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import lab

HEARTH = os.path.join(lab.ROOT, "build", "hearth")
WRITER = os.path.join(lab.ROOT, "build", "lab", "writer")
MODULES = ["ata_piix", "sd_mod", "virtio_pci", "virtio_blk", "crc32c_generic", "ext4"]
ROUNDS = 10 if os.environ.get("FULL") else 2
MEGABYTES, PLACES, BLOCK = 24, 64, 4096
LIMIT = 240  # seconds for one guest to acknowledge something
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "insmod $module failed"; done
for disk in sda vda; do
    until [ -b /dev/$disk ]; do sleep 0.1; done
    mkdir /$disk
    mount -t ext4 /dev/$disk /$disk || echo "mount $disk failed"
done
first=$(sed 's/.*first=\\([0-9]*\\).*/\\1/' /proc/cmdline)
writer /sda/blocks sda $first &
writer /vda/blocks vda $first &
wait
echo "the writers have ended"
sleep 1000
"""


def tool(*command, good=(0,)):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    if done.returncode not in good:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout.decode(errors='replace')}")
    return done.stdout


def write_until_killed(folder, first, acknowledgements):
    """Answers {disk: last number acknowledged}; hearth gets SIGKILL after so many lines, while the next writes are under way."""
    process = subprocess.Popen([HEARTH, "-accel", "soft", "-nographic", "-m", "192", "-nic", "none", "-kernel",
                                os.path.join(folder, "kernel"), "-initrd", os.path.join(folder, "initramfs"), "-append",
                                f"console=ttyS0 quiet panic=-1 first={first}", "-drive",
                                f"file={folder}/ide.raw,format=raw,index=0", "-drive",
                                f"file={folder}/virtio.qcow2,format=qcow2,if=virtio"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end, text, last = time.monotonic() + LIMIT, b"", {}
    try:
        while len(re.findall(rb"acknowledged \d+\r?\n", text)) < acknowledgements or b"sda ack" not in text or b"vda ack" not in text:
            piece = process.stdout.read1(4096)
            text += piece
            if not piece or time.monotonic() > end or b"failed" in text or b"have ended" in text:
                raise AssertionError(f"the guest does not write:\n{text.decode(errors='replace')[-3000:]}")
    finally:
        process.send_signal(signal.SIGKILL)
    text += process.stdout.read()
    process.wait()
    for disk, number in re.findall(rb"([sv]da) acknowledged (\d+)\r?\n", text):
        last[disk.decode()] = int(number)
    return last


def blocks_of(folder, image):
    """Replays the journal, looks the file system over, and answers the numbers of the file's blocks."""
    tool("e2fsck", "-p", image, good=(0, 1))
    tool("e2fsck", "-fn", image)
    path = os.path.join(folder, "blocks")
    tool("debugfs", "-R", f"dump /blocks {path}", image)
    with open(path, "rb") as file:
        data = file.read()
    return [struct.unpack_from("<I", data, at)[0] for at in range(0, len(data), BLOCK)]


def missing(numbers, first, last):
    """Those that were acknowledged and are older in the image, or not there."""
    newest = {number % PLACES: number for number in range(first, last + 1)}
    return [number for place, number in newest.items() if place >= len(numbers) or numbers[place] < number]


def round_run(folder, first, acknowledgements):
    last = write_until_killed(folder, first, acknowledgements)
    tool("qemu-img", "check", os.path.join(folder, "virtio.qcow2"), good=(0, 3))  # 3: leaked clusters alone
    plain = os.path.join(folder, "plain.raw")
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", os.path.join(folder, "virtio.qcow2"), plain)
    lost = missing(blocks_of(folder, plain), first, last["vda"])
    lost_ide = missing(blocks_of(folder, os.path.join(folder, "ide.raw")), first, last["sda"])
    return max(last.values()), lost, lost_ide


def prepare(folder):
    image, _ = lab.kernel()
    os.symlink(image, os.path.join(folder, "kernel"))
    lab.initramfs(os.path.join(folder, "initramfs"), INIT, MODULES, [WRITER])
    raw = os.path.join(folder, "ide.raw")
    with open(raw, "wb") as file:
        file.truncate(MEGABYTES << 20)
    tool("mke2fs", "-q", "-t", "ext4", "-F", raw)
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, os.path.join(folder, "virtio.qcow2"))


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory(prefix="flush-") as folder:
        try:
            for program, package in (("mke2fs", "e2fsprogs"), ("debugfs", "e2fsprogs"),
                                     ("qemu-img", "qemu-utils")):
                if not shutil.which(program):
                    raise lab.Unavailable(f"no {program}: sudo apt-get install {package}")
            prepare(folder)
        except lab.Unavailable as why:
            return lab.skip_all(why)
        print(f"1..{ROUNDS}")
        first, failed, chance = 1, False, random.Random(1)
        for number in range(1, ROUNDS + 1):
            try:
                last, lost, lost_ide = round_run(folder, first, chance.randrange(40, 300))
                good, why = not lost and not lost_ide, f"virtio lost {lost}, IDE lost {lost_ide}"
                first = last + 1000
            except AssertionError as error:
                good, why = False, str(error)
            failed = failed or not good
            print(f"{'ok' if good else 'not ok'} {number} - killed: what was acknowledged is there, the file systems are clean",
                  flush=True)
            for line in why.splitlines() if not good else ():
                print(f"# {line}")
    return failed


sys.exit(main())
