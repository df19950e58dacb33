#!/usr/bin/env python3
"""The same image in hearth, QEMU and Bochs shows the same screen, wherever the machines are the same."""

import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "spark"))
from harness import PROMPT, Bochs, Qemu, Skip, case, check, image, main

# What the hardware leaves undefined, or what is another machine's good right to answer otherwise: the BIOS chooses the
# cache bits of CR0
MASKS = ((r"(CR0|EAX)=E00000", r"\1=800000"), (r"EFLAGS=[0-9A-F]{8}", "EFLAGS=--------"), (r"CR2=[0-9A-F]{8}", "CR2=--------"))


def masked(text):
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def screens(session, line, end):
    with session(floppy=image("floppy"), memory="16") as machine:
        machine.boot()
        machine.command("clear")
        machine.serial.send(line + "\r")
        machine.wait(end)
        return masked("\n".join(machine.wait_screen(end.strip("^$ ")).splitlines()))


def compare(line, end="^" + PROMPT):
    for peer in (Qemu, Bochs):
        @case(f"`{line}` beside {peer.__name__}", machines=("hearth",))
        def test(session, peer=peer):
            if not shutil.which(peer.program):
                raise Skip(f"{peer.__name__} is not installed")
            expected, seen = (screens(kind, line, end) for kind in (peer, session))
            check(expected == seen, f"{peer.__name__}:\n{expected}\n\n{session.__name__}:\n{seen}")


for command in ("help", "gdt", "pages 123456", "pages 80000000", "selftest", "echo one two", "fault"):
    compare(command)
for fault in ("de", "db", "bp", "of", "br", "ud", "nm", "df", "ts", "np", "ss", "gp", "pf"):
    compare(f"fault {fault}", r"Switch off or reset the machine\.$")


if __name__ == "__main__":
    sys.exit(main(default="hearth"))
