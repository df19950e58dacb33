#!/usr/bin/env python3
"""Command lines of the document that hearth follows, as a person types them, with spark as the guest; what the guest itself
reports is asserted. They run in a network namespace of their own where that can be had, so that display 2 is free."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from hearth import ESCAPES, HEARTH, PATIENCE, ROOT, Failure, Skip, expect, main
from rfb import Viewer

KEYS = {" ": "spc", "\n": "ret"}
BARE = "hearth ubuntu1604.img -vnc 127.0.0.1:2 -monitor stdio"
SMP = "hearth -smp 4,maxcpus=8,sockets=2,cores=2,threads=2 ubuntu1604.img -vnc 127.0.0.1:2 -monitor stdio"
MEMORY = "hearth -m 2048 -smp 4 -hda ubuntu1604.img -vnc 127.0.0.1:2 -monitor stdio"
INSTALL = "hearth -m 2048 -smp 4 -boot order=cd -hda empty.img -cdrom ubuntu-16.04.iso -vnc 127.0.0.1:2 -monitor stdio"


def namespace_enter():
    """A network of this process's own; without the right to one it stays in the host's."""
    try:
        if not hasattr(os, "unshare"):
            import ctypes
            if ctypes.CDLL(None).unshare(0x40000000):
                return False
        else:
            os.unshare(0x40000000)
        return not subprocess.run(["ip", "link", "set", "lo", "up"], stderr=subprocess.DEVNULL, check=False).returncode
    except OSError:
        return False


class Typed:
    """A command line in a folder with the files that it names, its monitor on standard input and output."""

    def __init__(self, line):
        self.folder = tempfile.mkdtemp(prefix="hearth-document-")
        for source, name in (("spark-disk.img", "ubuntu1604.img"), ("spark.iso", "ubuntu-16.04.iso")):
            shutil.copy(os.path.join(ROOT, "build", source), os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "empty.img"), "wb") as file:
            file.truncate(16 << 20)
        words = line.split()
        expect(words[0] == "hearth", line)
        self.process = subprocess.Popen([HEARTH, *words[1:]], cwd=self.folder, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.folder)

    def read(self):
        text = b""
        while not ESCAPES.sub("", text.decode(errors="replace")).endswith("(qemu) "):
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise Failure(f"hearth ended: {text.decode(errors='replace')}")
            text += piece
        return ESCAPES.sub("", text.decode(errors="replace")).replace("\r", "")

    def monitor(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self.read()

    def wait(self, pattern):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            screen = self.monitor("screentext")
            if re.search(pattern, screen, re.M):
                return screen
            time.sleep(0.1)
        raise Failure(f"{pattern} does not come:\n{screen}")

    def type(self, text):
        for key in text:
            self.monitor(f"sendkey {KEYS.get(key, key)} 10")


def guest_says(line, command, pattern):
    with Typed(line) as machine:
        machine.wait(r"^spark>")
        machine.type("clear\n" + command + "\n")
        machine.wait(pattern)


def a_bare_image_with_a_viewer():
    with Typed(BARE) as machine:
        machine.wait(r"^spark>")
        with Viewer(5902) as viewer:
            viewer.update(False)
            expect(any(viewer.picture), "the viewer sees nothing")


def installing_starts_from_the_cd():
    with Typed(INSTALL) as machine:
        machine.wait(r"^spark>")


def info_cpus_names_real_threads():
    with Typed(SMP) as machine:
        text = machine.monitor("info cpus")
        threads = re.findall(r"CPU #\d+: pc=0x[0-9a-f]{16}.* thread_id=(\d+)", text)
        expect(len(threads) == 4, text)
        for thread in threads:
            expect(os.path.isdir(f"/proc/{machine.process.pid}/task/{thread}"), text)


def the_guest_has_the_memory_asked_for():
    guest_says(MEMORY, "free", r"20[0-9]{5}")


def create_makes_the_image():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([HEARTH, "create", "ubuntu1604.img", "8G"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        expect(os.path.getsize(os.path.join(folder, "ubuntu1604.img")) == 8 << 30, "8 GiB")


if not namespace_enter():
    def skipped():
        raise Skip("no network namespace: display 2 of this host may be somebody's")
    main([skipped])
main([create_makes_the_image, a_bare_image_with_a_viewer, installing_starts_from_the_cd, info_cpus_names_real_threads,
      the_guest_has_the_memory_asked_for])
