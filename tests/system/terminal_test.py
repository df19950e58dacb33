#!/usr/bin/env python3
"""The terminal display in a pseudo-terminal: what is shown, what is typed, and that the terminal is given back."""
import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from codecs import getincrementaldecoder
from contextlib import contextmanager

from hearth import HEARTH, PATIENCE, expect, image, main, wait_for

ENGINE = ["-accel", os.environ.get("HEARTH_ACCEL", "soft")]
SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """What a terminal makes of the bytes: positions, characters, the alternate screen."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.pages = {False: self.empty(), True: self.empty()}
        self.alternate, self.cursor_shown = False, True
        self.x = self.y = 0
        self.rest = ""
        self.colors = set()

    def empty(self):
        return [[" "] * self.columns for _ in range(self.rows)]

    def feed(self, text):
        text = self.rest + text
        self.rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = SEQUENCE.match(text, at)
                if not match:
                    expect(len(text) - at < 32, f"not a sequence: {text[at:at + 20]!r}")
                    self.rest = text[at:]
                    return
                self.sequence(*match.groups())
                at = match.end()
                continue
            self.put(text[at])
            at += 1

    def sequence(self, private, parameters, final):
        if private:
            if parameters == "1049":
                self.alternate = final == "h"
            elif parameters == "25":
                self.cursor_shown = final == "h"
        elif final == "H":
            self.y, self.x = (int(number) - 1 for number in parameters.split(";"))
            expect(0 <= self.x < self.columns and 0 <= self.y < self.rows, f"position {parameters} outside")
        elif final == "J":
            self.pages[self.alternate] = self.empty()
        elif final == "m":
            self.colors.add(parameters)

    def put(self, character):
        if character == "\r":
            self.x = 0
        elif character == "\n":
            self.y = min(self.y + 1, self.rows - 1)
        elif self.x < self.columns:
            self.pages[self.alternate][self.y][self.x] = character
            self.x += 1

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.pages[self.alternate])


class Terminal:
    """hearth in a pseudo-terminal of its own, as its session's controlling terminal."""

    def __init__(self, *arguments, columns=80, rows=25, term="xterm-256color", locale="C.UTF-8"):
        self.ours, self.theirs = os.openpty()
        self.screen = Screen(columns, rows)
        self.decoder = getincrementaldecoder("utf-8")()
        self.resize(columns, rows)
        self.mode = termios.tcgetattr(self.theirs)
        self.error = tempfile.TemporaryFile()
        self.floppy = tempfile.NamedTemporaryFile(suffix=".img")
        with open(image("terminal-guest.img"), "rb") as guest:
            shutil.copyfileobj(guest, self.floppy)
        self.floppy.flush()
        environment = dict(os.environ, TERM=term, LC_ALL=locale, COLORTERM="")
        self.process = subprocess.Popen(
            [HEARTH, *ENGINE, "-fda", self.floppy.name, "-serial", "none", *arguments],
            stdin=self.theirs, stdout=self.theirs, stderr=self.error, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print("# screen:")
            for line in self.screen.text().splitlines():
                print("#   " + line)
            self.error.seek(0)
            for line in self.error.read().decode(errors="replace").splitlines()[-20:]:
                print("#   " + line)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
        self.error.close()
        self.floppy.close()

    def resize(self, columns, rows):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.screen.feed(self.decoder.decode(os.read(self.ours, 65536)))

    def wait(self, text):
        def shown():
            self.read()
            return text in self.screen.text()
        wait_for(shown, f"{text!r} in the terminal")

    def wait_gone(self, text):
        def gone():
            self.read()
            return text not in self.screen.text()
        wait_for(gone, f"{text!r} to go")

    def type(self, data):
        os.write(self.ours, data if isinstance(data, bytes) else data.encode())

    def is_given_back(self):
        self.read()
        expect(termios.tcgetattr(self.theirs) == self.mode, "the terminal's mode is not as it was")
        expect(not self.screen.alternate, "the alternate screen is still shown")
        expect(self.screen.cursor_shown, "the cursor is still hidden")

    def wait_end(self):
        def ended():
            self.read()
            return self.process.poll() is not None
        wait_for(ended, "hearth's end")
        return self.process.returncode


@contextmanager
def booted(**how):
    with Terminal(**how) as terminal:
        terminal.wait("ready")
        yield terminal


def shows_the_screen():
    with booted() as terminal:
        expect("ready╔═>" in terminal.screen.text(), "line characters in UTF-8")
        expect(terminal.screen.alternate, "on the alternate screen")
        terminal.wait("ready")
        wait_for(lambda: (terminal.read(), terminal.screen.cursor_shown)[1], "the cursor")
        row = terminal.screen.text().splitlines().index("ready╔═>")
        expect((terminal.screen.x, terminal.screen.y) == (8, row), "the cursor stands behind the prompt")


def takes_keys():
    with booted() as terminal:
        terminal.type("Hello, (World)~|\\?_\r")
        terminal.wait("Hello, (World)~|\\?_")
        for sequence, scan in ((b"\x1bOP", 0x3B), (b"\x1b[A", 0x48), (b"\x1b[3~", 0x53), (b"\x1b[24~", 0x86),
                               (b"\x1bx", 0x2D), (b"\x1b[1;5D", 0x73)):
            terminal.type(sequence + b"=")
            terminal.wait(chr(65 + (scan >> 4)) + chr(65 + (scan & 15)) + "=")
        terminal.type("\u00e4\u20ac\U0001f600<")  # no keys on a US keyboard
        terminal.wait("=<")
        terminal.type("\x01\x01")  # Ctrl-A sends itself: IBM's smiling face
        terminal.wait("<\u263a")


def pasted_text_arrives_whole():
    with booted() as terminal:
        lines = ["".join(chr(33 + 2 + (number * 7 + column) % 60) for column in range(60)) for number in range(8)]
        terminal.type("\r" + "\r".join(lines) + "\r")
        for line in lines:
            terminal.wait(line)


def small_terminal_follows_the_cursor():
    with Terminal(columns=40, rows=10) as terminal:
        terminal.wait("ready")
        for number in range(24):
            terminal.type(f"line {number}\r")
            terminal.wait(f"line {number}")
        expect("ready" not in terminal.screen.text(), "the top has scrolled away")
        terminal.type("x" * 50)
        terminal.wait("x" * 39)
        terminal.type("the end")
        terminal.wait("the end")
        terminal.resize(80, 25)
        terminal.screen = Screen(80, 25)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.wait("x" * 50 + "the end")
        terminal.wait("line 22")


def plain_terminal():
    with Terminal(term="linux", locale="C") as terminal:
        terminal.wait("ready+=>")
        terminal.wait("ready")
        expect(all(re.fullmatch(r"0(;5)?(;[39][0-7])(;(4|10)[0-7])|0|", color) for color in terminal.screen.colors),
               f"sixteen colours alone, not {terminal.screen.colors}")


def graphics_in_half_blocks():
    with booted() as terminal:
        terminal.type("`")
        terminal.wait("▀" * 80)
        expect(any(color.endswith("48;5;124") for color in terminal.screen.colors), "red")


def help_and_monitor():
    with booted() as terminal:
        terminal.type("\x01h")
        terminal.wait("Ctrl-A: x leaves")
        terminal.type("\x01c")
        terminal.wait("(qemu)")
        expect(not terminal.screen.alternate, "the monitor is on the ordinary screen")
        terminal.type("info status\r")
        terminal.wait("running")
        terminal.type("\x01c")
        terminal.wait("ready")
        expect(terminal.screen.alternate, "back on the guest's screen")
        terminal.type("back")
        terminal.wait("back")


def given_back_after_leaving():
    with booted() as terminal:
        terminal.type("\x01x")
        expect(terminal.wait_end() == 0, "Ctrl-A x ends with status 0")
        terminal.is_given_back()


def given_back_after_quit():
    with booted() as terminal:
        terminal.type("\x01c")
        terminal.wait("(qemu)")
        terminal.type("quit\r")
        expect(terminal.wait_end() == 0, "quit ends with status 0")
        terminal.is_given_back()


def given_back_after_sigterm():
    with booted() as terminal:
        terminal.process.terminate()
        terminal.wait_end()
        terminal.is_given_back()


def given_back_after_the_guests_crash():
    with Terminal("-no-reboot") as terminal:
        terminal.wait("ready")
        terminal.type("!")
        terminal.wait_end()
        terminal.is_given_back()


def given_back_after_our_own():
    with booted() as terminal:
        terminal.process.send_signal(signal.SIGABRT)
        expect(terminal.wait_end() == -signal.SIGABRT, "an abort stays one")
        terminal.is_given_back()


def given_back_while_stopped():
    with booted() as terminal:
        terminal.process.send_signal(signal.SIGTSTP)
        def stopped():
            terminal.read()
            state = open(f"/proc/{terminal.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0]
            return state in "Tt" and not terminal.screen.alternate
        wait_for(stopped, "hearth to stop")
        terminal.is_given_back()
        terminal.process.send_signal(signal.SIGCONT)
        wait_for(lambda: (terminal.read(), terminal.screen.alternate)[1], "the alternate screen again")
        terminal.wait("ready")
        terminal.type("again")
        terminal.wait("again")


def needs_a_terminal():
    for arguments, says in ((["-display", "terminal"], "no terminal"),):
        ended = subprocess.run([HEARTH, *ENGINE, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                               timeout=PATIENCE, check=False)
        expect(ended.returncode == 1 and says in ended.stderr.decode(), ended.stderr.decode())


if __name__ == "__main__":
    main([(function.__name__.replace("_", " "), function) for function in (
        shows_the_screen, takes_keys, pasted_text_arrives_whole, small_terminal_follows_the_cursor, plain_terminal,
        graphics_in_half_blocks, help_and_monitor, given_back_after_leaving, given_back_after_quit,
        given_back_after_sigterm, given_back_after_the_guests_crash, given_back_after_our_own,
        given_back_while_stopped, needs_a_terminal)])
