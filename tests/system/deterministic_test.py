#!/usr/bin/env python3
"""-accel soft,deterministic=on: the same guest on several CPUs twice, the second time with many a pause: the same number of
instructions on each CPU, the same registers, the same memory, the same screen."""
import os
import re
import subprocess
import time

from hearth import ROOT, Machine, expect, image, main, wait_for

CPUS = 4
RAM = 0x2000000


def file_read(machine, name):
    with open(os.path.join(machine.folder, name), "rb") as file:
        return file.read()


def end_of(machine):
    """All that there is to be told of a machine that stands still."""
    monitor = machine.monitor
    told = {"instructions": monitor.run("info instructions"), "screen": monitor.run("screentext")}
    for cpu in range(CPUS):
        monitor.run(f"cpu {cpu}")
        told[f"CPU {cpu}"] = monitor.run("info registers")
    for name, command in (("low memory", "pmemsave 0 0xa0000"), ("memory", f"pmemsave 0x100000 {RAM - 0x100000:#x}")):
        said = monitor.run(f'{command} "{machine.folder}/{name}"')
        expect(said == "", f"{command}: {said}")
        told[name] = file_read(machine, name)
    return told


def run(pauses):
    """The guest's CPUs all sleep with interrupts off when it has said PASS."""
    with Machine("-accel", "soft,deterministic=on", "-smp", str(CPUS), "-m", str(RAM >> 20), "-S",
                 "-fda", image("guests/smp.img"), "-debugcon", "stdio", serial=False) as machine:
        monitor = machine.monitor
        monitor.run("cont")
        for _ in range(pauses):
            time.sleep(0.01)
            monitor.run("stop")
            monitor.run("cont")
        wait_for(lambda: "PASS" in machine.read() or "FAIL" in machine.read(), "the guest's last word")
        expect("PASS" in machine.read(), machine.read())
        wait_for(lambda: monitor.run("info cpus").count("(halted)") == CPUS, "all CPUs to sleep")
        monitor.run("stop")
        return end_of(machine)


def twice_the_same():
    first, second = run(0), run(20)
    expect("CPU #3: " in first["instructions"], first["instructions"])
    for what, told in first.items():
        expect(told == second[what], f"{what}: {told[:300]!r} and then {second[what][:300]!r}")


def one_thread_for_all():
    with Machine("-S", "-accel", "soft,deterministic=on", "-smp", "3") as machine:
        threads = {line.split("thread_id=")[1] for line in machine.monitor.run("info cpus").splitlines()}
        expect(len(threads) == 1, threads)


def idle_time_flies():
    """A guest that sleeps does not take the time that it sleeps: an hour of spark's in less than the test's patience."""
    with Machine("-accel", "soft,deterministic=on", "-m", "32", "-fda", image("spark.img")) as machine:
        machine.wait_serial("spark> ")

        def hour():
            machine.type("uptime\r")
            time.sleep(0.2)
            return re.search(r"up [1-9]\d*:\d\d:\d\d", machine.read())
        wait_for(hour, "an hour of uptime")


subprocess.run(["make", "-s", "guests"], cwd=ROOT, check=True)
main([("twice the same", twice_the_same), ("one thread for all CPUs", one_thread_for_all),
      ("idle time flies", idle_time_flies)])
