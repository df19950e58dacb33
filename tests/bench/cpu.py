#!/usr/bin/env python3
"""The CPUs of hearth (soft, and without its translator), QEMU (TCG) and Bochs beside each other in the same run: small loops in
32- and 64-bit paged code (loops.asm), and Debian's kernel to its init where the lab has fetched it. CPU time of the process
for a round of each loop, medians; in brackets, times hearth's figure: below 1 the other one is faster.

Usage: cpu.py [rounds [row...]]"""
import os
import shutil
import statistics
import stat
import subprocess
import sys
import tempfile
import time

import bench
from bench import BUILD, ROOT

LIMIT = 60
# Rounds for hearth and QEMU; the interpreter gets a tenth, Bochs a fortieth.
ROWS = {"integer": 300000000, "branch": 40000000, "call": 60000000, "walk": 40000000, "pages": 40000000, "moves": 400000,
        "sse2": 6000000, "x87": 4000000, "interrupt": 3000000, "fault": 1500000, "cr3": 800000, "port": 4000000,
        "modify": 400000}
WHAT = {"integer": "16 integer instructions", "branch": "3 branches of random direction", "call": "4 calls and returns",
        "walk": "16 loads and stores", "pages": "8 loads, a page further each", "moves": "REP MOVSB of 4 KiB",
        "sse2": "8 SSE2 instructions", "x87": "6 x87 instructions", "interrupt": "INT and IRET",
        "fault": "page fault, mapping, INVLPG", "cr3": "CR3 load and 16 pages touched", "port": "OUT",
        "modify": "changes an instruction and runs it"}


def peers():
    found = [bench.Peer("hearth", os.path.join(BUILD, "hearth"),
                        bench.qemu_like(os.path.join(BUILD, "hearth"), "-accel", "soft")),
             bench.Peer("interpreted", os.path.join(BUILD, "hearth"),
                        bench.qemu_like(os.path.join(BUILD, "hearth"), "-accel", "soft,translate=off"))]
    return [peer for peer in found + bench.PEERS[1:] if peer.there()]


def scale(peer):
    return {"interpreted": 10, "Bochs": 40}.get(peer.name, 1)


def image(folder, row, mode, count):
    path = os.path.join(folder, f"{row}-{mode}-{count}.img")
    if not os.path.exists(path):
        subprocess.run(["nasm", "-f", "bin", "-i", os.path.join(ROOT, "tests/guests/"), f"-DROW={row}", f"-DMODE={mode}",
                        f"-DCOUNT={count}", "-o", path, os.path.join(ROOT, "tests/bench/loops.asm")], check=True)
    return path


def run(peer, floppy):
    """CPU seconds until the guest says that it is done; None if it does not."""
    with tempfile.TemporaryDirectory() as folder:
        serial = os.path.join(folder, "serial")
        process = bench.start(peer, folder, floppy=floppy)
        started = time.monotonic()
        try:
            while time.monotonic() - started < LIMIT and process.poll() is None:
                if os.path.exists(serial) and open(serial, "rb").read().endswith(b"D"):
                    return bench.cpu_seconds(bench.emulator(process))
                time.sleep(0.005)
            return None
        finally:
            bench.end(process)


def per_round(folder, peer, row, mode, rounds, base):
    count = ROWS[row] // scale(peer)
    figures = [run(peer, image(folder, row, mode, count)) for _ in range(rounds)]
    figures = [(figure - base[peer.name]) / count * 1e9 for figure in figures if figure is not None]
    return max(statistics.median(figures), 0.01) if figures else None


def linux(peer, folder):
    """CPU seconds from start to a poweroff that is init's first act; not in Bochs, which loads no kernels."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
    import lab
    if peer.name == "Bochs" or not os.path.isdir(os.path.join(lab.CACHE, "kernel")) or not shutil.which("busybox"):
        return None
    initramfs = os.path.join(folder, "initramfs")
    with open(initramfs, "wb") as output:
        archive = lab.Archive(output)
        archive.folder("/dev")
        archive.entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        with open(shutil.which("busybox"), "rb") as file:
            archive.add("/bin/busybox", file.read())
        archive.add("/init", b"#!/bin/busybox sh\n/bin/busybox poweroff -f\n")
        archive.end()
    command = peer.command(folder, None, None) + ["-no-reboot", "-kernel", lab.kernel()[0], "-initrd", initramfs, "-append",
                                                  "console=ttyS0 quiet panic=-1"]
    command[command.index("-m") + 1] = "512"
    before = os.times()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300,
                   check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def show(name, figures, unit):
    base = next(iter(figures.values()))
    cells = []
    for value in figures.values():
        text = "-" if value is None else f"{value:.3g} {unit}"
        cells.append(text if value is None or value is base or not base else f"{text} ({value / base:.2g}x)")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    wanted = sys.argv[2:] or [*ROWS, "linux"]
    present = peers()
    print("| | " + " | ".join(peer.name for peer in present) + " |")
    print("|---" * (len(present) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for mode in (32, 64):
            empty = {peer.name: [run(peer, image(folder, "nothing", mode, 1)) for _ in range(rounds)] for peer in present}
            base = {name: statistics.median([figure for figure in figures if figure is not None] or [0])
                    for name, figures in empty.items()}
            for row in wanted:
                if row in ROWS:
                    show(f"{mode}-bit: {WHAT[row]}",
                         {peer.name: per_round(folder, peer, row, mode, rounds, base) for peer in present}, "ns")
        if "linux" in wanted:
            figures = {peer.name: [linux(peer, folder) for _ in range(rounds)] for peer in present}
            show("Debian's kernel to init and off",
                 {name: None if None in runs else statistics.median(runs) for name, runs in figures.items()}, "s")


if __name__ == "__main__":
    main()
