#!/usr/bin/env python3
"""Start to the first guest instruction, to spark's prompt, memory beyond guest RAM: hearth, QEMU (TCG) and Bochs beside
each other in the same run. Medians; the peers' columns are ratios to hearth's. Usage: bench.py [rounds]"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
RAM_MIB = 128
LIMIT = 120

BOCHS_CONFIG = """
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, e1000=0
romimage: file="{rom}"
vgaromimage: file="/usr/share/bochs/VGABIOS-lgpl-latest"
megs: {ram}
cpu: count=1, ips=200000000, reset_on_triple_fault=0
clock: sync=none
{drive}
display_library: {display}
com1: enabled=1, mode=file, dev={serial}
log: {log}
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


class Peer:
    """A way to run a guest: `command(folder, rom, floppy)` and where its serial line ends up."""

    def __init__(self, name, program, command):
        self.name, self.program, self.command = name, program, command

    def there(self):
        return os.path.exists(self.program) or shutil.which(self.program)


def qemu_like(program, *extra):
    def command(folder, rom, floppy):
        line = [program, *extra, "-m", str(RAM_MIB), "-display", "none", "-monitor", "none",
                "-serial", "file:" + os.path.join(folder, "serial"),
                "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        line += ["-bios", rom] if rom else []
        return line + (["-fda", floppy, "-boot", "a"] if floppy else [])
    return command


def bochs(folder, rom, floppy):
    drive = f"floppya: 1_44={floppy}, status=inserted, write_protected=1\nboot: floppy" if floppy else "boot: floppy"
    config = os.path.join(folder, "bochsrc")
    with open(config, "w", encoding="utf-8") as file:
        file.write(BOCHS_CONFIG.format(rom=rom or "/usr/share/bochs/BIOS-bochs-latest", ram=RAM_MIB, drive=drive,
                                       serial=os.path.join(folder, "serial"), log=os.path.join(folder, "log"),
                                       display="nogui"))
    return ["bochs", "-q", "-f", config]


PEERS = [
    Peer("hearth", os.path.join(BUILD, "hearth"), qemu_like(os.path.join(BUILD, "hearth"), "-accel", "soft")),
    Peer("QEMU TCG", "qemu-system-x86_64", qemu_like("qemu-system-x86_64", "-accel", "tcg")),
    Peer("Bochs", "bochs", bochs),
]


def start(peer, folder, rom=None, floppy=None):
    return subprocess.Popen(peer.command(folder, rom, floppy), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def first_instruction(peer):
    """Milliseconds from exec to the guest's exit, which is its first act."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        process = start(peer, folder, rom=os.path.join(BUILD, "bench", "exit.rom"))
        try:
            process.wait(LIMIT)
            return 1000 * (time.monotonic() - started)
        except subprocess.TimeoutExpired:
            return None
        finally:
            end(process)


def beyond_ram(pid):
    """Resident KiB outside the mapping that is guest RAM."""
    total, size = 0, 0
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            word = line.split()
            if word[0] == "Size:":
                size = int(word[1])
            elif word[0] == "Rss:" and size < RAM_MIB * 1024 // 2:
                total += int(word[1])
    return total


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def to_prompt(peer):
    """(milliseconds, CPU seconds, KiB beyond guest RAM) when spark's prompt has come over the serial line."""
    with tempfile.TemporaryDirectory() as folder:
        floppy = os.path.join(folder, "spark.img")
        shutil.copy(os.path.join(BUILD, "spark.img"), floppy)
        serial = os.path.join(folder, "serial")
        started = time.monotonic()
        process = start(peer, folder, floppy=floppy)
        try:
            while time.monotonic() - started < LIMIT and process.poll() is None:
                if os.path.exists(serial) and b"spark> " in open(serial, "rb").read():
                    return 1000 * (time.monotonic() - started), cpu_seconds(process.pid), beyond_ram(process.pid)
                time.sleep(0.001)
            return None
        finally:
            end(process)


def row(name, unit, values):
    """values: peer name -> list of figures (None where a run failed)."""
    cells = []
    base = None
    for peer in PEERS:
        figures = [value for value in values.get(peer.name, []) if value is not None]
        if not figures:
            cells.append("-")
            continue
        median = statistics.median(figures)
        if base is None:
            base = median
            cells.append(f"{median:.3g} {unit}")
        else:
            cells.append(f"{median:.3g} {unit} ({median / base:.1f}x)" if base else f"{median:.3g} {unit}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    present = [peer for peer in PEERS if peer.there()]
    firsts = {peer.name: [] for peer in present}
    prompts = {peer.name: [] for peer in present}
    for _ in range(rounds):
        for peer in present:
            firsts[peer.name].append(first_instruction(peer))
            prompts[peer.name].append(to_prompt(peer))
    print(f"{rounds} rounds, medians, {RAM_MIB} MiB guest; in brackets: times hearth's figure")
    print("| | " + " | ".join(peer.name for peer in PEERS) + " |")
    print("|---" * (len(PEERS) + 1) + "|")
    row("start to the guest's first instruction", "ms", firsts)
    for index, (name, unit) in enumerate([("start to spark's prompt", "ms"), ("CPU time to the prompt", "s"),
                                          ("memory beyond guest RAM", "KiB")]):
        row(name, unit, {peer: [run[index] if run else None for run in runs] for peer, runs in prompts.items()})


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
