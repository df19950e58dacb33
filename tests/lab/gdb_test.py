#!/usr/bin/env python3
"""gdb's server on a real KVM: steps, registers, memory, an interrupt, detaching, and more points than the processor has debug
registers. That a breakpoint or a watchpoint stops the guest can't be seen here: QEMU 7.2's nested AMD-V does not arm DR7 when it
enters a guest (nor do breakpoints of gdb in a QEMU that runs in there)."""
import os
import sys

import lab
from spark_test import files

HEARTH = "/build/hearth -accel kvm -display none -serial file:/tmp/serial -m 32M -fda /build/spark.img -S"


def session(name, *exchange, arguments=""):
    words = " ".join(f"'{packet}' '{answer}'" for packet, answer in exchange)
    return lab.Test(name, f"{HEARTH} {arguments} -gdb unix:/tmp/gdb 2>/tmp/err & pid=$!\n"
                          f"/build/remote /tmp/gdb {words}; status=$?\n"
                          "kill $pid; wait $pid; cat /tmp/err >&2; exit $status", 200)


TESTS = [
    session("steps and an interrupt",
            ("?", "T05thread:1"),
            ("p10", "f0ff000000000000"),  # rip, at the reset vector
            ("s", "T05thread:1"), ("p10", "5be0000000000000"),  # SeaBIOS's far jump
            ("s", "T05thread:1"), ("s", "T05thread:1"), ("p10", "=e0000000000000"),
            ("Mffff0,2:1234", "*"), ("M5000,2:1234", "OK"), ("m5000,2", "1234"),
            ("P0=8877665544332211", "OK"), ("p0", "8877665544332211"),
            ("c", "-"), ("interrupt", "T02thread:1"),
            ("m413,1", "*"),
            ("D", "OK")),
    session("four debug registers",
            ("Z1,1000,1", "OK"), ("Z2,1008,8", "OK"), ("Z4,1002,2", "OK"), ("Z0,1003,1", "OK"),
            ("Z1,1004,1", "E16"),         # a fifth does not fit
            ("z1,1000,1", "OK"), ("Z2,1001,4", "E16"),  # watched bytes are aligned
            ("Z1,1004,1", "OK"),
            ("D", "OK")),
    session("without the kernel's chips",
            ("s", "T05thread:1"), ("p10", "5be0000000000000"), ("c", "-"), ("interrupt", "T02thread:1"), ("D", "OK"),
            arguments="-accel kvm,kernel-irqchip=off"),
]


def main():
    try:
        places = dict(files())
        places[os.path.join(lab.ROOT, "build", "lab", "remote")] = "/build/remote"
        lab.main(TESTS, places)
    except lab.Unavailable as why:
        sys.exit(lab.skip_all(why))


main()
