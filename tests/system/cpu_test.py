#!/usr/bin/env python3
"""-cpu and -smp as the guest sees them: CPUID beside QEMU's TCG, undefined instructions, messages."""
import os
import re
import shutil
import subprocess

from hearth import HEARTH, PATIENCE, Skip, expect, image, main

QEMU = shutil.which("qemu-system-x86_64")
GUEST = ["-boot", "a", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-display", "none"]
ON_HEARTH = [HEARTH, "-accel", "soft", "-fda", image("cpuid-guest.img"), *GUEST]
ON_QEMU = [QEMU, "-M", "pc", "-accel", "tcg", "-drive", f"if=floppy,format=raw,file={image('cpuid-guest.img')}", "-net", "none",
           "-monitor", "none", "-serial", "none", *GUEST]
EAX, EBX, ECX, EDX = range(4)
DONE, UNDEFINED = 0, 6
# Where CPUID says what a model has.
FEATURES = [(1, 0, EDX), (1, 0, ECX), (6, 0, EAX), (7, 0, EBX), (7, 0, ECX), (0x80000001, 0, EDX), (0x80000001, 0, ECX)]
# What QEMU's TCG has not got, whatever the model: VME; PCID, x2APIC, TSC deadline; INVPCID, RDSEED, SHA; PREFETCHW,
# topology extensions.
NOT_IN_TCG = {(1, 0, EDX): 1 << 1, (0x80000001, 0, EDX): 1 << 1, (1, 0, ECX): 1 << 17 | 1 << 21 | 1 << 24,
              (7, 0, EBX): 1 << 10 | 1 << 18 | 1 << 29, (0x80000001, 0, ECX): 1 << 8 | 1 << 22}


class Answers:
    """What the guest found: leaves[leaf, sub] = [eax, ebx, ecx, edx]; instructions = cmov, popcnt, movaps, x2apic, deadline."""

    def __init__(self, command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
        self.stderr = done.stderr.decode()
        rows = [[int(word, 16) for word in line.split()] for line in done.stdout.decode().splitlines()
                if re.fullmatch(r"([0-9A-F]{8} ?)+", line.strip())]
        expect(done.returncode == 1 and rows, f"status {done.returncode}: {self.stderr}")
        self.leaves = {(row[0], row[1]): row[2:] for row in rows if len(row) == 6}
        self.instructions = rows[-1]

    def text(self, leaf, *registers):
        words = self.leaves[leaf, 0]
        return b"".join(words[register].to_bytes(4, "little") for register in registers)


def on_hearth(*arguments):
    return Answers([*ON_HEARTH, *arguments])


def beside_qemu(model):
    """Identity, highest leaves, caches and sizes are the same, and there is no feature that QEMU's model has not got."""
    def test():
        if not QEMU:
            raise Skip("no qemu-system-x86_64 to compare with")
        ours, theirs = on_hearth("-cpu", model).leaves, Answers([*ON_QEMU, "-cpu", model]).leaves
        levels = ours[0, 0][EAX], ours[0x80000000, 0][EAX]
        same = [(0, 0), (2, 0), (4, 0), (4, 1), (4, 2), (4, 3), (0xb, 0), (0xb, 1), (0xb, 2), (0x80000002, 0), (0x80000003, 0),
                (0x80000004, 0)]
        for leaf in same:
            if leaf[0] > levels[leaf[0] >> 31]:
                continue
            expect(ours[leaf] == theirs[leaf], f"leaf {leaf[0]:x}: {ours[leaf]} here, {theirs[leaf]} in QEMU")
        for leaf in (1, 0x80000000, 0x80000001):
            expect(ours[leaf, 0][EAX] == theirs[leaf, 0][EAX], f"leaf {leaf:x} differs in EAX")
        for leaf, sub, register in FEATURES:
            more = ours[leaf, sub][register] & ~theirs[leaf, sub][register] & ~NOT_IN_TCG.get((leaf, sub, register), 0)
            expect(not more, f"leaf {leaf:x}, register {register}: {more:#x} is not in QEMU's {model}")
    return test


def the_default_is_qemu64():
    answers = on_hearth()
    expect(answers.text(0, EBX, EDX, ECX) == b"AuthenticAMD", "another vendor")
    expect(answers.text(0x80000002, EAX, EBX, ECX, EDX) == b"QEMU Virtual CPU", "another name")
    expect(answers.leaves[1, 0][EAX] == 0x60fb1, "another signature")
    expect("warning" not in answers.stderr and "-cpu" not in answers.stderr, f"said {answers.stderr}")


def what_a_model_has_not_got_is_undefined():
    expect(on_hearth("-cpu", "max").instructions[:3] == [DONE, DONE, DONE], "max lacks an instruction")
    expect(on_hearth("-cpu", "qemu64").instructions[:3] == [DONE, UNDEFINED, DONE], "qemu64: SSE, but not POPCNT")
    expect(on_hearth("-cpu", "pentium2").instructions[:3] == [DONE, UNDEFINED, UNDEFINED], "pentium2: CMOV, but not SSE")
    expect(on_hearth("-cpu", "pentium").instructions[:3] == [UNDEFINED, UNDEFINED, UNDEFINED], "pentium has no CMOV")
    expect(on_hearth("-cpu", "pentium,+cmov").instructions[:3] == [DONE, UNDEFINED, UNDEFINED], "pentium,+cmov has")
    expect(on_hearth("-cpu", "max,-popcnt").instructions[:3] == [DONE, UNDEFINED, DONE], "max,-popcnt has POPCNT")
    for model, x2apic, deadline in (("max", DONE, DONE), ("qemu64", UNDEFINED, UNDEFINED), ("qemu64,+x2apic", DONE, UNDEFINED),
                                    ("qemu64,+tsc-deadline", UNDEFINED, DONE)):
        found = on_hearth("-cpu", model).instructions[3:]
        expect(found == [x2apic, deadline], f"{model}: x2APIC and the TSC deadline: {found}")


def properties_reach_the_guest():
    answers = on_hearth("-cpu", "qemu64,vendor=HearthHearth,family=6,model=26,stepping=3,model-id=my own,level=5,-nx")
    expect(answers.text(0, EBX, EDX, ECX) == b"HearthHearth", "vendor=")
    expect(answers.leaves[0, 0][EAX] == 5, "level=")
    expect(answers.leaves[1, 0][EAX] == 0x106a3, "family=, model=, stepping=")
    expect(answers.text(0x80000002, EAX, EBX) == b"my own\0\0", f"model-id= {answers.text(0x80000002, EAX, EBX)}")
    expect(not answers.leaves[0x80000001, 0][EDX] >> 20 & 1, "-nx")


def host_is_max_on_the_software_cpu():
    answers, most = on_hearth("-cpu", "host"), on_hearth("-cpu", "max")
    expect(answers.leaves == most.leaves, "host differs from max")
    expect("requires KVM" in answers.stderr and len(answers.stderr.splitlines()) == 1, f"said {answers.stderr!r}")
    expect(not most.stderr, f"max: said {most.stderr!r}")


def what_is_missing_is_said():
    done = on_hearth("-cpu", "qemu64,+avx512f")
    expect("avx512f" in done.stderr and len(done.stderr.splitlines()) == 1, f"said {done.stderr!r}")
    refused = subprocess.run([*ON_HEARTH, "-cpu", "qemu64,+avx512f,enforce"], stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=PATIENCE, check=False)
    expect(refused.returncode == 1 and b"avx512f" in refused.stderr, f"status {refused.returncode}: {refused.stderr}")


def help_lists_models_and_flags():
    for word in ("help", "?"):
        done = subprocess.run([HEARTH, "-cpu", word], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                              check=False)
        text = done.stdout.decode()
        expect(done.returncode == 0 and not done.stderr, f"status {done.returncode}, {done.stderr}")
        rows = re.findall(r"^x86 (\S+) +", text, re.M)
        expect(rows[-3:] == ["base", "host", "max"] and rows[:-3] == sorted(rows[:-3]), f"order: {rows}")
        for model in ("qemu64", "486", "Opteron_G5", "Skylake-Client", "EPYC"):
            expect(model in rows, f"{model} is missing")
        expect(text.startswith("Available CPUs:\n") and "\n\nRecognized CPUID flags:\n  3dnow " in text, "the headings")
        expect(f"x86 {'qemu64':<20}  QEMU Virtual CPU version 2.5+\n" in text, "the columns")


main([the_default_is_qemu64, what_a_model_has_not_got_is_undefined, properties_reach_the_guest,
      host_is_max_on_the_software_cpu, what_is_missing_is_said, help_lists_models_and_flags,
      *[(f"{model} beside QEMU's", beside_qemu(model))
        for model in ("qemu64", "486", "pentium3", "n270", "Haswell", "Opteron_G5", "EPYC")]])
