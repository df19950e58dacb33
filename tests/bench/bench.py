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

BOCHS_CONFIG = """megs: {ram}
cpu: count=1, ips=50000000, reset_on_triple_fault=0
romimage: file={rom}
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
com1: enabled=1, mode=file, dev={folder}/serial
log: {folder}/log
panic: action=fatal
clock: sync=none
speaker: enabled=0
sound: driver=dummy
display_library: rfb, options="timeout=0"
{drive}boot: floppy
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
    drive = f"floppya: 1_44={floppy}, status=inserted\n" if floppy else ""
    with open(os.path.join(folder, "bochsrc"), "w", encoding="utf-8") as file:
        file.write(BOCHS_CONFIG.format(rom=rom or "/usr/share/bochs/BIOS-bochs-latest", ram=RAM_MIB, drive=drive,
                                       folder=folder))
    with open(os.path.join(folder, "commands"), "w", encoding="utf-8") as file:
        file.write("c\n")
    # Debian's is built with the debugger, which wants a terminal (script has one) and the command to go on.
    return ["script", "-qec", f"exec bochs -q -f {folder}/bochsrc -rc {folder}/commands", "/dev/null"]


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
        os.killpg(process.pid, 9)
    process.wait()


def emulator(process):
    """The process that runs the guest: script's child for Bochs."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        children = file.read().split()
    return int(children[0]) if children else process.pid


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
                    pid = emulator(process)
                    return 1000 * (time.monotonic() - started), cpu_seconds(pid), beyond_ram(pid)
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
