#!/usr/bin/env python3
"""Runs every guest of this folder on the software CPU, as it is and with every block translated at once, and, where it is installed, on QEMU's TCG as a second opinion. A
guest prints PASS or the number of the check that failed. With ENGINE=kvm the first run is on that engine instead."""
import os
import shutil
import subprocess
import sys
from glob import glob

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
from hearth import HEARTH, PATIENCE, ROOT, expect, main  # noqa: E402

ENGINE = os.environ.get("ENGINE", "soft")
QEMU = shutil.which("qemu-system-x86_64")
DEVICES = ["-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-no-reboot", "-display", "none"]
# What TCG is known not to do; the guests' first lines tell.
NOT_FOR_TCG = {
    "a20",
    "limits",
    "stack16",
    "system64",
    "traps",
    "vme",
}
CPUS = {"smp": "4"}
QEMU_CPU = "qemu64,+smep,+smap,+pdpe1gb"
LEFT_WITH_ZERO = 1  # isa-debug-exit: value * 2 + 1


def passes(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    expect("PASS" in text and done.returncode == LEFT_WITH_ZERO, f"status {done.returncode}: {text}")


def on_hearth(image, engine, cpus):
    return lambda: passes([HEARTH, "-accel", engine, "-cpu", "max", "-smp", cpus, "-fda", image, *DEVICES])


# With a thread for each CPU TCG goes on with code that another CPU has rewritten.
def on_tcg(image, cpus):
    return lambda: passes([QEMU, "-accel", "tcg,thread=single", "-smp", cpus, "-cpu", QEMU_CPU, "-drive", f"if=floppy,format=raw,file={image}", "-net", "none",
                           "-monitor", "none", "-serial", "none", *DEVICES])


subprocess.run(["make", "-s", "guests"], cwd=ROOT, check=True)
cases = []
for source in sorted(glob(os.path.join(HERE, "*.asm"))):
    name = os.path.splitext(os.path.basename(source))[0]
    image = os.path.join(ROOT, "build", "guests", name + ".img")
    cpus = CPUS.get(name, "1")
    cases.append((f"{name} on {ENGINE}", on_hearth(image, ENGINE, cpus)))
    if ENGINE == "soft":
        cases.append((f"{name} on soft, all code translated", on_hearth(image, "soft,translate=1", cpus)))
    if QEMU and name not in NOT_FOR_TCG:
        cases.append((f"{name} on QEMU's TCG", on_tcg(image, cpus)))
main(cases)
