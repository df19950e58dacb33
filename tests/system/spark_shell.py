#!/usr/bin/env python3
"""spark's shell: every command, the keyboard, the line editor, SMP, and the ways to switch off."""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "spark"))
from harness import case, check, find, image, main

EVERYWHERE = ("qemu", "hearth", "bochs")


def start(session, **options):
    machine = session(floppy=image("floppy"), **options)
    try:
        machine.boot()
    except BaseException:
        machine.close()
        raise
    return machine


@case("help lists every command, and an unknown one is named", machines=EVERYWHERE)
def test_help(session):
    with start(session) as machine:
        listed = re.findall(r"^  (\w+) ", machine.command("help"), re.M)
        for name in ("help cpuinfo free dmesg e820 gdt idt pages regs uptime reboot poweroff smp fault panic echo "
                     "clear").split():
            check(name in listed, f"help does not list {name}")
        find("^nonsense: no such command", machine.command("nonsense"))


@case("selftest: the assembly functions keep their promises", machines=EVERYWHERE)
def test_selftest(session):
    with start(session) as machine:
        text = machine.command("selftest")
        check("selftest: all is well" in text and "not ok" not in text, text)


@case("dmesg shows what was said while booting", machines=EVERYWHERE)
def test_dmesg(session):
    with start(session) as machine:
        machine.command("echo something else")
        text = machine.command("dmesg")
        find(r"^Memory: \d+ KB, \d+ KB of it free", text)
        check("something else" not in text, "the log has what was typed later")


@case("idt: 32 exceptions, the double fault through a task, and interrupts that come", machines=EVERYWHERE)
def test_idt(session):
    with start(session) as machine:
        text = machine.command("idt")
        rows = re.findall(r"^([0-9A-F]{2})  ([0-9A-F]{4}):[0-9A-F]{8} (.{22}) +(\d+)", text, re.M)
        check([int(row[0], 16) for row in rows[:48]] == list(range(48)), "not vectors 0 to 47")
        check(rows[8][1:3] == ("0028", "task gate".ljust(22)), f"vector 8: {rows[8]}")
        check(all(row[1] == "0008" for row in rows if row[0] != "08"), "a gate with another selector")
        for _ in range(50):  # the first timer interrupt comes after 10 ms; some machines are quicker than that
            if int(find(r", (\d+) timer interrupts$", machine.command("uptime")).group(1)):
                break
            time.sleep(0.02)
        find(r"^20  0008:[0-9A-F]{8} .{22} +[1-9]", machine.command("idt"), "a timer interrupt")
        check(int(rows[0x24][3]) > 0, "no interrupt from the serial port came")


@case("pages walks the tables, and refuses what is no address", machines=EVERYWHERE)
def test_pages(session):
    with start(session, memory="16") as machine:
        text = machine.command("pages 0x123456")
        find(r"^00123456 = directory entry 0, table entry 291, offset 456; CR3 = 00100000$", text)
        find(r"^table +291: 00123\d\d\d  present, writable, user", text)
        find(r"^physical address 00123456$", text)
        find(r"^not mapped$", machine.command("pages 80000000"))
        for wrong in ("pages", "pages xyz", "pages 123456789", "pages 1 2"):
            find(r"^pages ADDR:", machine.command(wrong))


@case("regs: protected mode with paging on", machines=EVERYWHERE)
def test_regs(session):
    with start(session) as machine:
        text = machine.command("regs")
        find(r"^CR0=[8C-F][0-9A-F]{6}[1-9A-F]: PE .*PG$", text)
        find(r"^CR2=[0-9A-F]{8} CR3=00100000$", text)
        find(r"^EFLAGS=[0-9A-F]{8}:.* IF", text)


def check_timer(machine):
    """It ticks every 10 ms: a prompt may be there sooner."""
    first = int(find(r", (\d+) timer interrupts$", machine.command("uptime")).group(1))
    time.sleep(0.3)
    second = int(find(r", (\d+) timer interrupts$", machine.command("uptime")).group(1))
    check(second > first, f"{first}, and then {second}")


@case("uptime goes on")
def test_uptime(session):
    with start(session) as machine:
        check_timer(machine)


@case("the keyboard works as well as the serial port")
def test_keyboard(session):
    with start(session) as machine:
        machine.type("echo Hello-42 xY\n")
        machine.wait(r"^Hello-42 xY$")
        screen = "\n".join(machine.screen())
        find(r"^spark> echo Hello-42 xY$", screen)
        find(r"^Hello-42 xY$", screen)


@case("line editing: backspace, arrows, home, end, delete, history, on the keyboard")
def test_editing(session):
    with start(session) as machine:
        machine.type("echo abXd\b\bcd\n")
        machine.wait(r"^abcd$")
        machine.type("cho 1")
        machine.key("home")
        machine.type("e")
        machine.key("end")
        machine.type("23")
        machine.key("left")
        machine.key("left")
        machine.key("delete")
        machine.type("9\n")
        machine.wait(r"^193$")
        machine.key("up")
        machine.key("up")
        machine.type("\n")
        machine.wait(r"^abcd$")
        machine.key("up")
        machine.key("up")
        machine.key("down")
        machine.type("z\n")
        machine.wait(r"^abcdz$")


@case("line editing on the serial port: escape sequences, control keys, completion", machines=EVERYWHERE)
def test_serial_editing(session):
    with start(session) as machine:
        find(r"^bac$", machine.command("echo ac\x1b[D\x1b[Db\x1b[F"))
        find(r"^xy$", machine.command("nonsense\x15echo yy\x1b[D\x1b[D\x1b[3~x"))
        find(r"^xy$", machine.command("\x1b[A"))
        find(r"timer interrupts$", machine.command("upt\t"))
        machine.command("echo " + "w" * 300)  # more than a line holds
        find(r"^still here$", machine.command("echo still here"))
        machine.command("w" * 5000 + "\recho all of it")  # a paste, faster than the echo
        machine.wait(r"^all of it$")


@case("clear empties the screen, and output scrolls")
def test_screen(session):
    with start(session) as machine:
        machine.command("clear")
        screen = machine.screen()
        check(screen[0] == "spark>" and not any(screen[1:]), f"after clear:\n{screen}")
        for number in range(30):
            machine.command(f"echo row {number}")
        screen = machine.screen()
        check(screen[24] == "spark>" and screen[23] == "row 29" and screen[21] == "row 28", "\n".join(screen))


@case("cpuinfo: the model that was asked for")
def test_model(session):
    with start(session, cpu="Nehalem") as machine:
        text = machine.command("cpuinfo")
        find(r"^vendor   GenuineIntel$", text)
        find(r"^brand    .*Nehalem", text)
        find(r"^family 6 \(6h\), model 26 ", text)
        find(r"^features:[^#]* sse4_2", text)


@case("cpuinfo on a 486, which may not even have CPUID's extended leaves")
def test_486(session):
    with start(session, cpu="486") as machine:
        find(r"^family 4 ", machine.command("cpuinfo"))
        find(r"^together +100000 +9592 ", machine.command("smp"))


@case("no local APIC: one CPU, and it says so")
def test_no_apic(session):
    with session(floppy=image("floppy"), cpu="qemu64,-apic") as machine:
        log = machine.boot()
        find(r"^SMP: this CPU has no local APIC, so there is 1 CPU$", log)
        find(r"^together +100000 +9592 ", machine.command("smp"))
        check_timer(machine)


def topology(name, cpu, smp, expected):
    @case(f"topology: {name}")
    def test(session):
        with start(session, cpu=cpu, smp=smp) as machine:
            text = machine.command("cpuinfo")
            rows = re.findall(r"^ *\d+ +\d+ +(\d+) +(\d+) +(\d+)$", text, re.M)
            check([tuple(map(int, row)) for row in rows] == expected, text)


def product(packages, cores, threads):
    return [(p, c, t) for p in range(packages) for c in range(cores) for t in range(threads)]


topology("2 sockets, 2 cores, 2 threads from leaf 0Bh", "Nehalem,level=11", "8,sockets=2,cores=2,threads=2",
         product(2, 2, 2))
topology("2 sockets, 2 cores, 2 threads from leaves 1 and 4", "Nehalem,level=4", "8,sockets=2,cores=2,threads=2",
         product(2, 2, 2))
topology("AMD, 2 sockets of 2 cores from leaf 8000_0008h", "Opteron_G3,level=5", "4,sockets=2,cores=2,threads=1",
         product(2, 2, 1))


topology("2 sockets of 3 cores of 2 threads, in 1 and 2 bits", "Nehalem,level=11", "12,sockets=2,cores=3,threads=2",
         product(2, 3, 2))


@case("topology: AMD, 2 threads in a core, from leaf 8000_001Eh, in hearth", machines=("hearth",))
def test_amd_threads(session):
    with start(session, cpu="Opteron_G3,level=5", smp="8,sockets=2,cores=2,threads=2") as machine:
        text = machine.command("cpuinfo")
        find(r"topology from leaves 8000_0008h and 8000_001Eh$", text)
        rows = re.findall(r"^ *\d+ +\d+ +(\d+) +(\d+) +(\d+)$", text, re.M)
        check([tuple(map(int, row)) for row in rows] == product(2, 2, 2), text)


@case("topology: AMD, 2 threads in a core, from leaf 8000_001Eh", machines=("bochs",))
def test_ryzen(session):
    # QEMU without KVM has no such leaf. Bochs counts cores in leaf 8000_0008h where AMD counts threads, so what it
    # says of packages is not looked at.
    with start(session, cpu="ryzen", smp="1:2:2", memory="32") as machine:
        text = machine.command("cpuinfo")
        find(r"topology from leaves 8000_0008h and 8000_001Eh$", text)
        threads = re.findall(r"^ *\d+ +\d+ +\d+ +\d+ +(\d+)$", text, re.M)
        check(threads == ["0", "1", "0", "1"], text)


@case("8 CPUs in Bochs count together", machines=("bochs",))
def test_bochs_smp(session):
    with start(session, cpu="corei7_sandy_bridge_2600k", smp="2:2:2", memory="32") as machine:
        text = machine.command("smp")
        check(len(re.findall(r"^ +\d+ +\d+ +[1-9]\d* +[1-9]\d* +[\d.]+%", text, re.M)) == 8, text)
        find(r"^together +100000 +9592 ", text)


@case("smp: each of 4 CPUs has a share, and the sum is right")
def test_smp(session):
    with start(session, smp=4) as machine:
        for _ in range(5):
            text = machine.command("smp")
            rows = re.findall(r"^ +(\d+) +\d+ +(\d+) +(\d+) +[\d.]+%", text, re.M)
            check(len(rows) == 4 and all(int(row[1]) > 0 for row in rows), text)
            find(r"^together +100000 +9592 ", text)


@case("16 CPUs start")
def test_many(session):
    with session(floppy=image("floppy"), smp=16, memory="64") as machine:
        find(r"^SMP: 16 CPUs, listed by the ACPI MADT$", machine.boot())
        find(r"^together +100000 +9592 ", machine.command("smp"))


@case("255 CPUs start, and all of them count", machines=("qemu",))
def test_255(session):
    with session(floppy=image("floppy"), smp=255, memory="64", extra=("-accel", "tcg,thread=single")) as machine:
        find(r"^SMP: 255 CPUs, listed by the ACPI MADT$", machine.boot(120))
        text = machine.command("smp", 120)
        check(len(re.findall(r"^ +\d+ +\d+ +[1-9]\d* +\d+ +[\d.]+%", text, re.M)) == 255, text)
        find(r"^together +100000 +9592 ", text)


@case("CPUs from the MP table where there is no ACPI", machines=("qemu",))
def test_mp_table(session):
    with session(floppy=image("floppy"), smp="3,sockets=3", extra=("-machine", "pc,acpi=off")) as machine:
        log = machine.boot()
        find(r"^SMP: 3 CPUs, listed by the MP table$", log)


@case("poweroff switches the machine off")
def test_poweroff(session):
    with start(session, smp=2) as machine:
        machine.serial.send("poweroff\r")
        check(machine.wait_end() == 0, "QEMU ended with an error")


@case("poweroff without ACPI tables still finds a switch", machines=("qemu",))
def test_poweroff_no_acpi(session):
    with start(session, extra=("-machine", "pc,acpi=off")) as machine:
        machine.serial.send("poweroff\r")
        machine.wait(r"Switching off\.")
        machine.wait(r"no power switch that spark knows|$", 10)


@case("the power button shuts spark down")
def test_button(session):
    with start(session) as machine:
        machine.monitor_stream.send("system_powerdown\n")
        machine.wait(r"The power button was pressed\.")
        check(machine.wait_end() == 0, "it ended with an error")


@case("reboot: the machine starts anew")
def test_reboot(session):
    with start(session) as machine:
        machine.serial.send("reboot\r")
        machine.wait_end()  # -no-reboot makes an exit of it


@case("a bare 1990 PC: isapc, no PCI, no ACPI", machines=("qemu",))
def test_isapc(session):
    with session(floppy=image("floppy"), cpu="486", extra=("-machine", "isapc", "-vga", "none", "-device",
                                                          "isa-vga")) as machine:
        log = machine.boot()
        find(r"1 CPU", log)
        find(r"^below 4 GB +1\d{4} ", machine.command("free"))


@case("q35 instead of i440fx", machines=("qemu",))
def test_q35(session):
    with session(extra=("-machine", "q35", "-drive", f"file={image('disk')},format=raw,snapshot=on"),
                 smp=2) as machine:
        machine.boot()
        machine.serial.send("poweroff\r")
        check(machine.wait_end() == 0, "QEMU ended with an error")


if __name__ == "__main__":
    sys.exit(main())
