"""Drives hearth for the system tests: starts it in a folder of its own, talks to its monitor, reads its serial line.
Standard library only."""
import atexit
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEARTH = os.environ.get("HEARTH", os.path.join(ROOT, "build", "hearth"))
PROMPT = "(qemu) "
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Generous: a loaded machine and a sanitizer build have to make it too. No test asserts a time.
PATIENCE = float(os.environ.get("PATIENCE", "120"))


class Failure(Exception):
    pass


IMAGES = tempfile.mkdtemp(prefix="hearth-images-")
atexit.register(shutil.rmtree, IMAGES, ignore_errors=True)


def image(name):
    """A copy of a built image for this process alone: whoever opens one for writing locks others out."""
    path = os.path.join(IMAGES, os.path.basename(name))
    if not os.path.exists(path):
        shutil.copy(os.path.join(ROOT, "build", name), path)
    return path


def expect(condition, message):
    if not condition:
        raise Failure(message)


def wait_for(condition, what, limit=None):
    """Polls until condition() is true and answers what it said."""
    end = time.monotonic() + (limit or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited in vain for {what}")
        time.sleep(0.02)


class Monitor:
    """The human monitor on a UNIX socket, hearth's or QEMU's."""

    def __init__(self, path, prompt=PROMPT):
        self.prompt = prompt
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        wait_for(lambda: self._connected(path), f"the monitor's socket {path}")
        self._read()

    def _connected(self, path):
        try:
            self.socket.connect(path)
            return True
        except OSError:
            return False

    def _read(self):
        text = ""
        while not ESCAPES.sub("", text).rstrip("\r\n").endswith(self.prompt):
            piece = self.socket.recv(65536)
            if not piece:
                break
            text += piece.decode(errors="replace")
        return ESCAPES.sub("", text).replace("\r", "")

    def run(self, command):
        """The answer, without the echo and the prompt."""
        self.socket.sendall(command.encode() + b"\n")
        text = self._read()
        lines = text.split("\n")[1:]
        return "\n".join(line for line in lines if not line.startswith(self.prompt.strip())).rstrip()

    def close(self):
        self.socket.close()


class Machine:
    """hearth with a monitor on a socket and the first serial line on standard output."""

    def __init__(self, *arguments, serial=True, program=HEARTH, wrapper=()):
        self.folder = tempfile.mkdtemp(prefix="hearth-test-")
        self.socket_path = os.path.join(self.folder, "monitor")
        command = [*wrapper, program, "-display", "none", "-monitor", f"unix:{self.socket_path},server=on,wait=off"]
        if serial:
            command += ["-serial", "stdio"]
        self.command = command + list(arguments)
        self.error = open(os.path.join(self.folder, "stderr"), "w+b")
        # In the test's process group: tests/run.py ends a late job with all that it started.
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.error)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""
        self._monitor = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print("# " + " ".join(self.command).replace("\n", " "))
            for line in (self.read() + self.stderr()).splitlines()[-40:]:
                print("#   " + line)
        self.stop()

    @property
    def monitor(self):
        if not self._monitor:
            self._monitor = Monitor(self.socket_path)
        return self._monitor

    def read(self):
        """All that came over the serial line so far."""
        while select.select([self.process.stdout], [], [], 0)[0]:
            piece = self.process.stdout.read()
            if not piece:
                break
            self.output += piece.decode(errors="replace")
        return self.output

    def stderr(self):
        self.error.flush()
        with open(self.error.name, "rb") as file:
            return file.read().decode(errors="replace")

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_serial(self, text, count=1):
        def seen():
            if self.read().count(text) >= count:
                return True
            if self.process.poll() is not None:
                raise Failure(f"hearth ended with status {self.process.returncode} before it said {text!r}")
            return False
        wait_for(seen, f"{text!r} on the serial line")
        return self.output

    def screen(self):
        return self.monitor.run("screentext")

    def wait_screen(self, text):
        return wait_for(lambda: (lambda shown: shown if text in shown else None)(self.screen()), f"{text!r} on the screen")

    def wait_end(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure("hearth does not end") from None

    def stop(self):
        if self._monitor:
            self._monitor.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.error.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Skip(Exception):
    pass


def main(tests):
    """Runs functions (named test_...) or (name, function) pairs and prints TAP."""
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        name, function = test if isinstance(test, tuple) else (test.__name__.replace("_", " "), test)
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception as problem:  # a test that breaks in any way has failed
            failed += 1
            if isinstance(problem, Failure):
                print(f"# {problem}")
            else:
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
    return sys.exit(1 if failed else 0)
