"""What spark's system tests share: machines to drive, and a runner that speaks TAP.

A test is a function with @case; it gets a Session class to start machines with, and fails by an exception. The same
tests drive QEMU (the default), hearth (--machine hearth) and, where they say so, Bochs."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT = "spark> "
ROWS, COLUMNS = 25, 80
PATIENCE = float(os.environ.get("SPARK_PATIENCE", "0"))  # seconds; 0: as the machine needs


class Failure(Exception):
    pass


class Skip(Exception):
    """The machine has no such thing yet."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def find(pattern, text, what=None):
    """The match of a pattern in a text that must have it."""
    match = re.search(pattern, text, re.M)
    if not match:
        raise Failure(f"{what or pattern!r} not found in:\n{text}")
    return match


class Stream:
    """A socket that is read in the background."""

    def __init__(self, connection):
        self.connection = connection
        self.data = bytearray()
        self.changed = threading.Condition()
        self.closed = False
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self):
        while True:
            try:
                piece = self.connection.recv(65536)
            except OSError:
                piece = b""
            with self.changed:
                if not piece:
                    self.closed = True
                self.data += piece.replace(b"\r", b"")
                self.changed.notify_all()
            if not piece:
                return

    def send(self, text):
        self.connection.sendall(text.encode("latin1"))

    def wait(self, pattern, start, timeout):
        """The match of a pattern in what came since `start`; None if it does not come."""
        limit = time.monotonic() + timeout
        expression = re.compile(pattern.encode("latin1"), re.M)
        with self.changed:
            while True:
                match = expression.search(self.data, start)
                left = limit - time.monotonic()
                if match or left <= 0 or self.closed:
                    return match
                self.changed.wait(left)

    def close(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()


def connect(path, process, timeout=20):
    limit = time.monotonic() + timeout
    while time.monotonic() < limit:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if process.poll() is not None:
                raise Failure(f"the machine ended at once: {process.stderr.read().decode(errors='replace')[-400:]}")
            time.sleep(0.02)
    raise Failure(f"nobody listens at {path}")


class Qemu:
    """A PC in QEMU, with its serial port and its monitor in our hands."""

    program = "qemu-system-x86_64"
    timeout = 40

    def __init__(self, floppy=None, disk=None, cdrom=None, memory="16", smp=None, cpu=None, extra=()):
        self.directory = tempfile.TemporaryDirectory(prefix="spark-test-")
        self.path = pathlib.Path(self.directory.name)
        self.serial_at = 0
        self.process = subprocess.Popen(self.arguments(floppy, disk, cdrom, memory, smp, cpu, extra),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self.open_streams()
        except BaseException:
            self.close()
            raise

    def arguments(self, floppy, disk, cdrom, memory, smp, cpu, extra):
        line = [self.program, *([] if "-accel" in extra else ["-accel", "tcg"]), "-nodefaults", "-vga", "std", "-m", str(memory), "-display", "none",
                "-S", "-no-reboot", "-serial", f"unix:{self.path}/serial,server=on,wait=off",
                "-monitor", f"unix:{self.path}/monitor,server=on,wait=off"]
        line += ["-drive", f"file={floppy},if=floppy,format=raw,snapshot=on"] if floppy else []
        line += ["-drive", f"file={disk},if=ide,format=raw,snapshot=on"] if disk else []
        line += ["-cdrom", str(cdrom)] if cdrom else []
        line += ["-boot", "a" if floppy else "c" if disk else "d"]
        line += ["-smp", str(smp)] if smp else []
        line += ["-cpu", cpu] if cpu else []
        return line + list(extra)

    def open_streams(self):
        self.serial = Stream(connect(self.path / "serial", self.process))
        self.monitor_stream = Stream(connect(self.path / "monitor", self.process))
        self.monitor_prompt(0, self.timeout)
        self.monitor("cont")  # -S held it: what is said before anyone listens is lost

    # ---- the monitor

    def monitor_prompt(self, start, timeout=20):
        if not self.monitor_stream.wait(r"\((qemu|hearth)\) (\x1b\[K)?$", start, timeout):
            raise Failure("no answer from the monitor")

    def monitor(self, command):
        start = len(self.monitor_stream.data)
        self.monitor_stream.send(command + "\n")
        self.monitor_stream.wait(re.escape(command[-1:]) + r"[^\n]*\n", start, 20)
        self.monitor_prompt(start + 1)
        return self.monitor_stream.data[start:].decode("latin1")

    def memory(self, address, words):
        """`words` dwords of physical memory."""
        text = self.monitor(f"xp/{words}wx {address:#x}")
        numbers = []
        for line in text.splitlines():
            head, colon, tail = line.partition(":")
            if colon and re.fullmatch(r"[0-9a-fx]+", head.strip()):
                numbers += [int(number, 16) for number in tail.split()]
        check(len(numbers) == words, f"xp gave {len(numbers)} words, not {words}")
        return numbers

    def screen(self):
        """The 25 rows of the text screen."""
        data = b"".join(number.to_bytes(4, "little") for number in self.memory(0xB8000, ROWS * COLUMNS // 2))
        text = data[::2].decode("latin1").replace("\0", " ")
        return [text[row * COLUMNS:(row + 1) * COLUMNS].rstrip() for row in range(ROWS)]

    def wait_screen(self, pattern, timeout=None):
        limit = time.monotonic() + (PATIENCE or timeout or self.timeout)
        while True:
            try:
                text = "\n".join(self.screen())
            except Failure as failure:  # no text mode yet
                text = str(failure)
            match = re.search(pattern, text)
            if match:
                return text
            if time.monotonic() > limit:
                raise Failure(f"{pattern!r} does not appear on the screen:\n{text}")
            time.sleep(0.1)

    def type(self, text):
        """On the keyboard."""
        names = {" ": "spc", "\n": "ret", "-": "minus", ".": "dot", "/": "slash", "\b": "backspace"}
        for letter in text:
            self.key(f"shift-{letter.lower()}" if letter.isupper() else names.get(letter, letter))

    def key(self, name):
        self.monitor(f"sendkey {name} 20")
        time.sleep(0.03)

    # ---- spark

    def wait(self, pattern, timeout=None):
        """Waits until a pattern comes from the serial port, after what was waited for before."""
        match = self.serial.wait(pattern, self.serial_at, PATIENCE or timeout or self.timeout)
        if not match:
            tail = self.serial.data[self.serial_at:].decode("latin1")[-1500:]
            raise Failure(f"{pattern!r} does not come; since then:\n{tail}\nscreen:\n{self.screen_if_any()}")
        text = self.serial.data[self.serial_at:match.end()].decode("latin1")
        self.serial_at = match.end()
        return text

    def screen_if_any(self):
        try:
            return "\n".join(self.screen())
        except Exception as reason:  # it is a help for the reader, no more
            return str(reason)

    def boot(self, timeout=None):
        return self.wait(PROMPT + "$", timeout)

    def command(self, line, timeout=None):
        """Types a line at the serial port; what spark answers, without the echo and the prompt."""
        self.serial.send(line + "\r")
        text = self.wait(r"^" + PROMPT, timeout)
        return text.partition("\n")[2].rpartition("\n")[0]

    def wait_end(self, timeout=20):
        try:
            return self.process.wait(PATIENCE or timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"the machine does not switch off; screen:\n{self.screen_if_any()}") from None

    def close(self):
        for stream in ("serial", "monitor_stream"):
            if hasattr(self, stream):
                getattr(self, stream).close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stderr.close()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Hearth(Qemu):
    """The same PC in hearth, with the same command line as far as it goes."""

    program = str(ROOT / "build" / "hearth")
    timeout = 60
    cpus = 255  # what its software engine has; KVM is not what is tested here

    def open_streams(self):
        try:
            super().open_streams()
        except Failure as failure:
            option = re.search(r"^.*-(cpu|smp)\b.*$", str(failure), re.M)
            if option:
                raise Skip(option.group(0)) from None
            raise

    def own(self, path):
        """A copy: hearth locks what it writes to."""
        return shutil.copy(path, self.path / pathlib.Path(path).name)

    def arguments(self, floppy, disk, cdrom, memory, smp, cpu, extra):
        if smp and int(str(smp).partition(",")[0]) > self.cpus:
            raise Skip(f"hearth has {self.cpus} CPU")
        line = [self.program, "-m", str(memory), "-display", "none", "-S", "-no-reboot",
                "-serial", f"unix:{self.path}/serial,server=on,wait=off",
                "-monitor", f"unix:{self.path}/monitor,server=on,wait=off"]
        line += ["-fda", self.own(floppy)] if floppy else []
        line += ["-hda", self.own(disk)] if disk else []
        line += ["-cdrom", str(cdrom)] if cdrom else []
        line += ["-boot", "a" if floppy else "c" if disk else "d"]
        line += ["-smp", str(smp)] if smp else []
        line += ["-cpu", cpu] if cpu else []
        return line + list(extra)


class Bochs(Qemu):
    """A PC in Bochs: no monitor; the serial port connects to us. smp may be "packages:cores:threads"."""

    program = "bochs"
    timeout = 90
    roms = "/usr/share/bochs"

    def __init__(self, floppy=None, disk=None, cdrom=None, memory="16", smp=1, cpu=None, extra=()):
        self.directory = tempfile.TemporaryDirectory(prefix="spark-test-")
        self.path = pathlib.Path(self.directory.name)
        self.serial_at = 0
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(20)
        (self.path / "commands").write_text("c\n")
        (self.path / "bochsrc").write_text(self.configuration(floppy, disk, cdrom, memory, smp, cpu,
                                                              listener.getsockname()[1]))
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(["bochs", "-q", "-f", "bochsrc", "-rc", "commands"], cwd=self.path,
                                        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True)
        theirs.close()
        self.debugger = Stream(ours)
        try:
            connection, _ = listener.accept()
        except OSError:
            log = self.path / "log"
            text = log.read_text(errors="replace")[-600:] if log.exists() else "no log"
            self.close()
            raise Failure(f"Bochs does not connect its serial port:\n{text}") from None
        finally:
            listener.close()
        self.serial = Stream(connection)

    def configuration(self, floppy, disk, cdrom, memory, smp, cpu, port):
        model = f"model={cpu}, " if cpu else ""
        lines = [f"megs: {memory}", f"cpu: {model}count={smp or 1}, ips=50000000, reset_on_triple_fault=0",
                 f"romimage: file={self.roms}/BIOS-bochs-latest", f"vgaromimage: file={self.roms}/VGABIOS-lgpl-latest",
                 f"com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}", "log: log", "panic: action=fatal",
                 "clock: sync=none", "speaker: enabled=0", "sound: driver=dummy",
                 'display_library: rfb, options="timeout=0"']
        copy = shutil.copy(floppy or disk or cdrom, self.path / "image")
        if floppy:
            lines += [f"floppya: 1_44={copy}, status=inserted", "boot: floppy"]
        elif disk:
            lines += ["ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
                      f"ata0-master: type=disk, path={copy}, mode=flat, cylinders=16, heads=16, spt=63", "boot: disk"]
        else:
            lines += ["ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
                      f"ata0-master: type=cdrom, path={copy}, status=inserted", "boot: cdrom"]
        return "\n".join(lines) + "\n"

    def screen(self):
        """The text memory, by way of Bochs' debugger, for which the machine stands a moment."""
        file = self.path / "screen"
        start = len(self.debugger.data)
        self.process.send_signal(signal.SIGINT)
        if not self.debugger.wait(r"<bochs:\d+> ", start, 20):
            raise Failure("Bochs' debugger does not answer")
        start = len(self.debugger.data)
        self.debugger.send(f'writemem "{file}" 0xb8000 {ROWS * COLUMNS * 2}\n')
        self.debugger.wait(r"<bochs:\d+> ", start, 20)
        text = file.read_bytes()[::2].decode("latin1").replace("\0", " ")
        self.debugger.send("c\n")
        return [text[row * COLUMNS:(row + 1) * COLUMNS].rstrip() for row in range(ROWS)]

    def close(self):
        for stream in ("serial", "debugger"):
            if hasattr(self, stream):
                getattr(self, stream).close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.directory.cleanup()


MACHINES = {"qemu": Qemu, "hearth": Hearth, "bochs": Bochs}

# ---- the runner

CASES = []


def case(name, machines=("qemu", "hearth")):
    def register(function):
        CASES.append((name, machines, function))
        return function
    return register


def image(kind):
    """One of the three images that the build made."""
    name = {"floppy": "spark.img", "disk": "spark-disk.img", "cdrom": "spark.iso"}[kind]
    path = pathlib.Path(os.environ.get("SPARK_IMAGES", ROOT / "build")) / name
    check(path.exists(), f"{path} is missing: make images")
    return path


def run_case(entry, session):
    name, machines, function = entry
    begin = time.monotonic()
    try:
        function(session)
        return name, None, time.monotonic() - begin
    except Skip as reason:
        return name, reason, time.monotonic() - begin
    except Failure as failure:
        return name, str(failure), time.monotonic() - begin
    except Exception:
        return name, traceback.format_exc(), time.monotonic() - begin


def main(default="qemu"):
    options = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    options.add_argument("--machine", choices=MACHINES, default=os.environ.get("SPARK_MACHINE", default))
    options.add_argument("--jobs", type=int, default=max(2, os.cpu_count() or 1))
    options.add_argument("-k", dest="pattern", default="", help="only the tests whose name matches")
    arguments = options.parse_args()
    session = MACHINES[arguments.machine]
    if not shutil.which(session.program):
        print(f"1..0 # SKIP {session.program} is not installed")
        return 0
    chosen = [entry for entry in CASES if arguments.machine in entry[1] and re.search(arguments.pattern, entry[0])]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = pool.map(lambda entry: run_case(entry, session), chosen)
        for number, (name, reason, seconds) in enumerate(results, 1):
            if isinstance(reason, Skip):
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
                continue
            print(f"{'not ok' if reason else 'ok'} {number} - {name} # {seconds:.1f} s", flush=True)
            if reason:
                failed += 1
                print("\n".join("# " + line for line in reason.splitlines()), flush=True)
    return 1 if failed else 0
