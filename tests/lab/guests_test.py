#!/usr/bin/env python3
"""The test guests (tests/guests) on a real KVM: what they expect of a CPU is what AMD-V with nested paging does, or at
least TCG's rendering of it, under the host kernel's own emulation of the rest."""
import glob
import os
import sys

import lab
from spark_test import firmware

BUILD = os.path.join(lab.ROOT, "build")
WRONG = "TCG does not do what it tests"
# As for TCG on its own (tests/guests): it checks no limits and has no interrupt redirection. And QEMU 7.2 aborts in
# tcg_handle_interrupt() when a nested guest writes CR8.
NOT_IN_THE_LAB = {"limits": WRONG, "vme": WRONG, "traps": WRONG, "system64": WRONG, "stack16": WRONG,
                  "a20": "KVM has no A20 gate",
                  "long": "QEMU itself ends when a nested guest writes CR8"}
CPUS = {"smp": 2}
ARGUMENTS = "-debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04 -no-reboot -display none"


def guest(image):
    name = os.path.splitext(os.path.basename(image))[0]
    command = (f"/build/hearth -accel kvm -smp {CPUS.get(name, 1)} -fda /guests/{name}.img "
               f"{ARGUMENTS} >/tmp/out 2>&1 </dev/null; status=$?\n"
               "cat /tmp/out; [ $status = 1 ] && grep -q PASS /tmp/out")
    if name in NOT_IN_THE_LAB:
        command = f"echo {NOT_IN_THE_LAB[name]}; exit 77"
    return lab.Test(name, command, 60)


def main():
    images = sorted(glob.glob(os.path.join(BUILD, "guests", "*.img")))
    if not images:
        sys.exit("no guests in build/guests: make guests")
    try:
        files = {image: "/guests/" + os.path.basename(image) for image in images}
        files.update(firmware())
        files[os.path.join(BUILD, "hearth")] = "/build/hearth"
        lab.main([guest(image) for image in images], files)
    except lab.Unavailable as why:
        sys.exit(lab.skip_all(why))


main()
