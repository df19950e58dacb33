#!/usr/bin/env python3
"""Public test suites that somebody has built already, on the software CPU.

HEARTH_SUITES names a folder; what is not in it is skipped aloud:
  kvm-unit-tests/x86_64/*.flat, kvm-unit-tests/i386/*.flat   as its `make` leaves them in x86/
  test386/test386.bin, test386/test386-EE-reference.txt      built with POST_PORT 190h and OUT_PORT e9h
  single-step/80286/*.MOO.gz                                 the real-mode vectors of SingleStepTests
`--table` prints the table of docs/conformance.md instead, with QEMU's TCG as the second column.
"""
import glob
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
import programs  # noqa: E402
from hearth import HEARTH, Machine, ROOT, Skip, expect, main, wait_for  # noqa: E402

SUITES = os.environ.get("HEARTH_SUITES")
QEMU = shutil.which("qemu-system-x86_64")
FOLDERS = {64: "x86_64", 32: "i386"}
DEVICES = ["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-device", "pc-testdev",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]
LIMIT = 600
PASSED, NOT_THERE = 1, 77  # exit status


def knows_models():
    return subprocess.run([HEARTH, "-cpu", "help"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def command_of(machine, program, bits):
    kernel = os.path.join(SUITES, "kvm-unit-tests", FOLDERS[bits], program.file)
    command = [HEARTH, "-accel", "soft"] if machine == "hearth" else [QEMU, "-accel", "tcg"]
    command += [*DEVICES, "-m", "256", "-smp", str(program.cpus), "-kernel", kernel]
    if program.append:
        command += ["-append", program.append]
    if machine == "qemu" or knows_models():
        command += ["-cpu", program.cpu]
    return command


def run(machine, program, bits):
    """Its status (None: it did not end) and what it said."""
    try:
        done = subprocess.run(command_of(machine, program, bits), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")
    return done.returncode, done.stdout.decode(errors="replace")


def verdict(status, text):
    """'pass', or in words what else."""
    failed = len(re.findall(r"^FAIL", text, re.MULTILINE))
    if status is None:
        return "does not end"
    if status == NOT_THERE:
        return "not there"
    if status == PASSED and not failed:
        return "pass"
    return f"{failed} failed" if failed else f"ends with status {status}"


def unit_test(program, bits):
    def test():
        if not os.path.isdir(os.path.join(SUITES or "", "kvm-unit-tests", FOLDERS[bits])):
            raise Skip(f"no kvm-unit-tests/{FOLDERS[bits]} in HEARTH_SUITES")
        status, text = run("hearth", program, bits)
        said = verdict(status, text)
        if said == "not there":
            raise Skip("the CPU does not tell of it")
        expect(said == "pass", said + ":\n" + "\n".join(line for line in text.splitlines() if not line.startswith("PASS")))
    return f"kvm-unit-tests {bits} bits: {program.name}", test


def table():
    for bits in (64, 32):
        for heading, chosen in (("asked of TCG by its CI", programs.ASKED_OF_TCG[bits]), ("further", programs.FURTHER[bits])):
            print(f"\n| {bits} bits, {heading} | hearth | QEMU TCG |\n|---|---|---|")
            for program in chosen:
                said = [verdict(*run(machine, program, bits)) for machine in ("hearth", "qemu")]
                print(f"| {program.name} | {said[0]} | {said[1]} |", flush=True)


def halted(machine):
    """EAX of a CPU that has come to HLT."""
    text = machine.monitor.run("info registers")
    return int(re.search("EAX=([0-9a-f]+)", text).group(1), 16) if "HLT=1" in text else None


def test386():
    """Its POST code is in AL when it ends: FFh, or the test that failed; its results are to be those of the reference."""
    folder = os.path.join(SUITES, "test386")
    if not os.path.isdir(folder):
        raise Skip("no test386 in HEARTH_SUITES")
    with tempfile.NamedTemporaryFile() as results:
        with Machine("-accel", "soft", "-bios", os.path.join(folder, "test386.bin"), "-debugcon", f"file:{results.name}",
                     serial=False) as machine:
            code = wait_for(lambda: halted(machine), "test386's end")
            expect(code & 0xff == 0xff, f"it ends with POST code {code & 0xff:02x}h")
        with open(os.path.join(folder, "test386-EE-reference.txt"), "rb") as reference:
            expect(results.read().splitlines() == reference.read().splitlines(), "its results are not the reference's")


def vectors():
    """All vectors of a folder, unpacked one file after the other."""
    folder = os.path.join(SUITES, "single-step", "80286")
    names = sorted(glob.glob(os.path.join(folder, "*.MOO.gz")))
    if not names:
        raise Skip("no single-step/80286 in HEARTH_SUITES")
    subprocess.run(["make", "-s", "build/tests/vectors"], cwd=ROOT, check=True)
    total, failures = 0, []
    for name in names:
        with gzip.open(name) as file:
            done = subprocess.run([os.path.join(ROOT, "build", "tests", "vectors")], input=file.read(), stdout=subprocess.PIPE,
                                  check=False)
        text = done.stdout.decode(errors="replace")
        total += int(text.splitlines()[-1].split()[0])
        if done.returncode:
            failures.append(os.path.basename(name) + ":\n" + text)
    print(f"# {total} vectors of {len(names)} instructions")
    expect(not failures, "\n".join(failures))


def cases():
    if not SUITES:
        def nothing():
            raise Skip("HEARTH_SUITES names no folder of suites")
        return [("public suites", nothing)]
    return [("test386", test386), ("80286 single-step vectors", vectors)] + [unit_test(program, bits) for bits in (64, 32) for program in programs.ASKED_OF_TCG[bits] + programs.FURTHER[bits]]


if "--table" in sys.argv:
    table()
else:
    main(cases())
