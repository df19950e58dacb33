"""The remote-controlled guest (remote_guest.asm) in hearth or in QEMU: ports, memory, INT 10h and pictures from outside."""
import os
import shutil
import socket
import struct
import subprocess
import tempfile

from hearth import HEARTH, PATIENCE, Failure, Monitor, Skip, image, wait_for

QEMU = shutil.which("qemu-system-x86_64")


def picture_read(path):
    """(width, height, bytes) of a P6 file."""
    with open(path, "rb") as file:
        data = file.read()
    magic, width, height, most = data[:64].split(maxsplit=4)[:4]
    pixels = data[-3 * int(width) * int(height):]
    if magic != b"P6" or most != b"255":
        raise Failure(f"{path} is no P6 file: {data[:20]}")
    return int(width), int(height), pixels


class Remote:
    """A machine whose guest does what it is told."""

    def __init__(self, program, *arguments, output=False):
        self.folder = tempfile.mkdtemp(prefix="remote-")
        serial, monitor, floppy = (os.path.join(self.folder, name) for name in ("serial", "monitor", "floppy"))
        shutil.copyfile(image("remote-guest.img"), floppy)
        self.command = [program, "-m", "16", "-fda", floppy, "-serial", f"unix:{serial},server=on,wait=off",
                        "-monitor", f"unix:{monitor},server=on,wait=off", *arguments]
        if not {"-display", "-vnc"} & set(arguments):
            self.command += ["-display", "none"]
        self.error = open(os.path.join(self.folder, "stderr"), "w+b")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=self.error,
                                        stdout=subprocess.PIPE if output else subprocess.DEVNULL)
        self.monitor_path, self._monitor = monitor, None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        try:
            wait_for(lambda: self._connected(serial), "the guest's serial line")
            self._expect(b"R")
        except BaseException:
            self.stop()
            raise

    def _connected(self, path):
        if self.process.poll() is not None:
            raise Failure(f"{self.command[0]} ended with status {self.process.returncode}: {self.stderr()}")
        try:
            self.socket.connect(path)
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and kind is not SystemExit:
            print("# " + " ".join(self.command))
            for line in self.stderr().splitlines()[-40:]:
                print("#   " + line)
        self.stop()

    def stderr(self):
        with open(self.error.name, "rb") as file:
            return file.read().decode(errors="replace")

    @property
    def monitor(self):
        if not self._monitor:
            self._monitor = Monitor(self.monitor_path)
        return self._monitor

    def wait_output(self, text):
        """Its standard output up to a line with this; needs output=True."""
        said = ""
        while text not in said:
            line = self.process.stdout.readline().decode(errors="replace")
            if not line:
                raise Failure(f"{self.command[0]} did not say {text!r} but {said!r}: {self.stderr()}")
            said += line
        return said

    def stop(self):
        if self._monitor:
            self._monitor.close()
        self.socket.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.error.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- commands

    def _receive(self, count):
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                raise Failure(f"the guest's serial line has ended: {self.stderr()}")
            data += piece
        return data

    def _expect(self, what):
        got = self._receive(len(what))
        if got != what:
            raise Failure(f"the guest said {got}, not {what}")

    def _ask(self, format_, *operands, answer="."):
        """`format_`: the command's letter, then struct's letters for its operands; so is the answer."""
        self.socket.sendall(format_[0].encode() + struct.pack("<" + format_[1:], *operands))
        if answer == ".":
            return self._expect(b".")
        values = struct.unpack("<" + answer, self._receive(struct.calcsize("<" + answer)))
        return values[0] if len(values) == 1 else values

    def video(self, ax, bx=0, cx=0, dx=0):
        return self._ask("IHHHH", ax, bx, cx, dx, answer="H")

    def out(self, port, value, size=1):
        self._ask({1: "BHB", 2: "WHH", 4: "LHI"}[size], port, value)

    def into(self, port, size=1):
        return self._ask({1: "bH", 2: "wH", 4: "lH"}[size], port, answer={1: "B", 2: "H", 4: "I"}[size])

    def fill(self, address, count, seed=1):
        """`count` bytes, a multiple of 4."""
        self._ask("FIII", address, count // 4, seed)

    def store(self, address, data):
        for at in range(0, len(data), 512):
            piece = data[at:at + 512]
            self._ask(f"SIH{len(piece)}s", address + at, len(piece), piece)

    def copy(self, origin, address, count):
        self._ask("CIII", origin, address, count)

    def out_string(self, port, data):
        self._ask(f"OHH{len(data)}s", port, len(data), data)

    def get(self, address, count):
        return self._ask("GIH", address, count, answer=f"{count}s")

    def backdoor(self, eax, ebx, ecx, edx=0x5658):
        return self._ask("VIIII", eax, ebx, ecx, edx, answer="IIII")

    def pci(self, slot, register, function=0):
        self.out(0xcf8, 0x80000000 | slot << 11 | function << 8 | register, 4)
        return self.into(0xcfc, 4)

    # ---- the VGA

    def register(self, port, index, value):
        self.out(port, index | value << 8, 2)

    def attribute(self, index, value):
        self.into(0x3da)
        self.out(0x3c0, index)
        self.out(0x3c0, value)
        self.into(0x3da)
        self.out(0x3c0, 0x20)

    def dispi(self, index, value):
        self.out(0x1ce, index, 2)
        self.out(0x1cf, value, 2)

    def picture(self):
        path = os.path.join(self.folder, "picture.ppm")
        self.monitor.run(f"screendump {path}")
        return picture_read(path)


def hearth(*arguments, **options):
    return Remote(HEARTH, "-accel", "soft", *arguments, **options)


def need_qemu():
    if not QEMU:
        raise Skip("no qemu-system-x86_64 here")


def qemu(*arguments, **options):
    return Remote(QEMU, "-accel", "tcg", "-nodefaults", "-vga", "std", "-net", "none", *arguments, **options)
