#!/usr/bin/env python3
"""gdb's server on a real KVM: breakpoints from the boot sector into paged protected mode, steps, watchpoints, more points than the
processor has debug registers."""
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
    session("breakpoints and steps",
            ("?", "T05thread:1"),
            ("p10", "f0ff000000000000"),          # rip, at the reset vector
            ("Z0,7c00,1", "OK"), ("c", "T05thread:1"), ("p10", "007c000000000000"),
            ("m7dfe,2", "55aa"),
            ("s", "T05thread:1"), ("p10", "3e7c000000000000"),
            ("s", "T05thread:1"), ("z0,7c00,1", "OK"),
            ("Z1,30400,1", "OK"), ("c", "T05thread:1"), ("p10", "0004030000000000"),
            ("p2a", "=0080"),                     # cr0 has PG
            ("m30000,4", "7f454c46"),
            ("s", "T05thread:1"), ("p10", "0504030000000000"),
            ("qRcmd,696e666f20737461747573", "O"), ("vMustReplyEmpty", "=OK"),  # what Rcmd ended with
            ("D", "*")),
    session("watchpoints",
            ("Z2,100000,4", "OK"), ("c", "T05thread:1;watch:100000"), ("z2,100000,4", "OK"),
            ("Z2,100004,4", "OK"), ("c", "T05thread:1;watch:100004"), ("m100000,4", "07101000"), ("z2,100004,4", "OK"),
            ("Z1,1000,1", "OK"), ("Z1,1001,1", "OK"), ("Z1,1002,1", "OK"), ("Z1,1003,1", "OK"),
            ("Z1,1004,1", "E16"),                 # a fifth does not fit
            ("D", "OK")),
    session("without the kernel's chips",
            ("Z0,7c00,1", "OK"), ("c", "T05thread:1"), ("s", "T05thread:1"), ("p10", "3e7c000000000000"), ("D", "OK"),
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
