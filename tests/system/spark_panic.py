#!/usr/bin/env python3
"""Every exception ends on a panic screen that says which it was, why, where and how it came there."""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "spark"))
from harness import case, check, find, image, main

WHITE_ON_RED = 0x4F

# vector, name for `fault`, name on the screen, where it happened, what else must stand there
FAULTS = [
    (0, "de", "#DE divide error", "cause_de", ""),
    (1, "db", "#DB debug", "cause_db", ""),
    (2, "nmi", "NMI", "cause_nmi", ""),
    (3, "bp", "#BP breakpoint", "cause_bp", ""),
    (4, "of", "#OF overflow", "cause_of", ""),
    (5, "br", "#BR bound range exceeded", "cause_br", ""),
    (6, "ud", "#UD invalid opcode", "cause_ud", ""),
    (7, "nm", "#NM no coprocessor", "cause_nm", ""),
    (8, "df", "#DF double fault", "cause_df", r"error code 00000000: an exception came up while another was"),
    (9, "9", "coprocessor segment overrun", "fault_cause", ""),
    (10, "ts", "#TS invalid TSS", "cause_ts", r"error code [0-9A-F]{8}: "),
    (11, "np", "#NP segment not present", "cause_np", r"error code 00000040: because of GDT entry 8$"),
    (12, "ss", "#SS stack fault", "cause_ss", r"error code 00000040: because of GDT entry 8$"),
    (13, "gp", "#GP general protection", "cause_gp", r"error code 0000FFF8: because of GDT entry 1FFF$"),
    (14, "pf", "#PF page fault", "cause_pf", r"error code 00000002: not mapped: write of FFFFE000 by the kernel$"),
    (15, "15", r"reserved \(15\)", "fault_cause", ""),
    (16, "mf", "#MF floating point", "fault_cause", ""),
    (17, "ac", "#AC alignment check", "fault_cause", "error code 00000000$"),
    (18, "mc", "#MC machine check", "fault_cause", ""),
    (19, "xm", "#XM SIMD floating point", "fault_cause", ""),
    (20, "ve", "#VE virtualization", "fault_cause", ""),
    (21, "cp", "#CP control protection", "fault_cause", "error code 00000001$"),
    *[(n, str(n), rf"reserved \({n}\)", "fault_cause", "") for n in range(22, 28)],
    (28, "hv", "#HV hypervisor injection", "fault_cause", ""),
    (29, "vc", "#VC VMM communication", "fault_cause", "error code 00000000$"),
    (30, "sx", "#SX security", "fault_cause", "error code 00000000$"),
    (31, "31", r"reserved \(31\)", "fault_cause", ""),
]



def panic_case(vector, name, title, function, more):
    @case(f"vector {vector}: fault {name}", machines=("qemu", "hearth", "bochs"))
    def test(session):
        with session(floppy=image("floppy")) as machine:
            machine.boot()
            machine.serial.send(f"fault {name}\r")
            text = machine.wait(r"Switch off or reset the machine\.$")
            find(rf"^spark has stopped: exception {vector}, {title}, on CPU 0$", text)
            find(r"^EAX=[0-9A-F]{8} EBX=", text)
            find(r"^EIP=000[3-5][0-9A-F]{4} EFLAGS=[0-9A-F]{8} CS=0008 SS=00[01][0-9A-F] ", text)
            find(r"^CR0=[0-9A-F]{8} CR2=[0-9A-F]{8} CR3=00100000$", text)
            find(more, text)
            trace = re.findall(r"^  [0-9A-F]{8}  (\w+)\+[0-9A-F]+$", text, re.M)
            check(trace[:1] == [function] and trace[-4:] == ["run_line", "shell_run", "kernel_main", "csinit"],
                  f"stack trace {trace} in:\n{text}")


for row in FAULTS:
    panic_case(*row)


@case("the panic screen is white on red, and has the whole report")
def test_screen(session):
    with session(floppy=image("floppy")) as machine:
        machine.boot()
        machine.serial.send("fault pf\r")
        machine.wait(r"Switch off or reset the machine\.$")
        for _ in range(50):  # the colour comes after the last word
            colors = {word >> shift & 0xFF for word in machine.memory(0xB8000, 1000) for shift in (8, 24)}
            if colors == {WHITE_ON_RED}:
                break
            time.sleep(0.1)
        check(colors == {WHITE_ON_RED}, f"colours {colors}")
        screen = machine.screen()
        find(r"^spark has stopped: exception 14, #PF page fault, on CPU 0$", screen[0])
        check("Switch off or reset the machine." in screen, "\n".join(screen))


@case("the double fault knows that the stack has overflowed", machines=("qemu", "hearth", "bochs"))
def test_overflow(session):
    with session(floppy=image("floppy")) as machine:
        machine.boot()
        machine.serial.send("fault df\r")
        find(r"^the kernel stack has overflowed$", machine.wait(r"Switch off or reset the machine\.$"))


@case("panic without an exception", machines=("qemu", "hearth", "bochs"))
def test_panic(session):
    with session(floppy=image("floppy")) as machine:
        machine.boot()
        machine.serial.send("panic\r")
        text = machine.wait(r"Switch off or reset the machine\.$")
        find(r"^spark has stopped: you asked for it$", text)
        find(r"^  [0-9A-F]{8}  command_panic\+", text)


if __name__ == "__main__":
    sys.exit(main())
