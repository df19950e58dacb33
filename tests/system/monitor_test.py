#!/usr/bin/env python3
"""The monitor's commands against a machine that runs spark on the software CPU."""
import os
import re
import struct

from hearth import Machine, expect, image, main, wait_for

SPARK = ("-accel", "soft", "-m", "32M", "-fda", image("spark.img"))


def booted():
    machine = Machine(*SPARK)
    machine.wait_serial("spark> ")
    return machine


def help_lists_every_command():
    with Machine("-S", "-accel", "soft") as machine:
        text = machine.monitor.run("help")
        for command in ("stop", "cont", "system_reset", "system_powerdown", "quit", "sendkey", "pmemsave", "memsave",
                        "screendump", "screentext", "x ", "xp ", "info"):
            expect(re.search(rf"^{command}", text, re.M), f"help does not list {command}")
        for topic in ("status", "registers", "cpus", "pic", "mtree"):
            expect(f"info {topic}" in machine.monitor.run("help info"), f"help info does not list {topic}")
        expect(machine.monitor.run("bogus") == "unknown command: 'bogus'", "unknown command")
        expect("filename expected" in machine.monitor.run("screendump"), "a missing argument is named")


def prelaunch_stop_cont():
    with Machine("-S", *SPARK) as machine:
        expect(machine.monitor.run("info status") == "VM status: paused (prelaunch)", "-S waits")
        registers = machine.monitor.run("info registers")
        expect("CS =f000 ffff0000" in registers and "EIP=0000fff0" in registers, registers)
        machine.monitor.run("cont")
        expect(machine.monitor.run("info status") == "VM status: running", "cont")
        machine.wait_serial("spark> ")
        machine.monitor.run("stop")
        expect(machine.monitor.run("info status") == "VM status: paused", "stop")
        before = machine.monitor.run("info registers")
        expect(before == machine.monitor.run("info registers"), "a paused CPU stands")
        machine.monitor.run("cont")
        machine.type("free\r")
        machine.wait_serial("spark> ", 2)


def memory_is_examined():
    with booted() as machine:
        monitor = machine.monitor
        # The boot sector's signature is still where the BIOS loaded it.
        expect("0xaa55" in monitor.run("xp/1hx 0x7dfe"), monitor.run("xp/1hx 0x7dfe"))
        # The kernel's ELF header at 30000h, read as physical and (identity-mapped) virtual memory.
        expect("0x464c457f" in monitor.run("xp/1wx 0x30000"), "ELF magic, physical")
        expect("0x464c457f" in monitor.run("x/1wx 0x30000"), "ELF magic, virtual")
        expect(monitor.run("x /1wx 0x30000") == monitor.run("x/1wx 0x30000"), "a blank before the format")
        code = monitor.run("x/4i 0x30400")
        expect(len(code.splitlines()) == 4 and "mov esp" in code, code)
        expect("no page" in monitor.run("x/1wx 0xf0000000") or "0x" in monitor.run("x/1wx 0xf0000000"), "unmapped")
        expect("no memory" in monitor.run("xp/1wx 0xfffffffffffffff0"), "past the end")
        path = os.path.join(machine.folder, "kernel")
        monitor.run(f"pmemsave 0x30000 16 {path}")
        expect(open(path, "rb").read()[:4] == b"\x7fELF", "pmemsave")
        monitor.run(f"memsave 0x30000 16 {path}")
        expect(open(path, "rb").read()[:4] == b"\x7fELF", "memsave")
        expect(monitor.run("print 2+3*4") == "14", "print")
        expect("gpa: 0x30000" in monitor.run("gva2gpa 0x30000"), "gva2gpa")
        ranges = monitor.run("info mem").splitlines()
        expect(ranges[0].startswith("00000000-") and ranges[0].endswith(" urw"), ranges)
        pages = monitor.run("info tlb").splitlines()
        expect(len(pages) > 8000 and re.match(r"00030000: 0000000000030000 ---DA--UW", pages[48]), pages[48])


def state_is_shown():
    with booted() as machine:
        monitor = machine.monitor
        cpus = monitor.run("info cpus")
        thread = int(re.search(r"\* CPU #0: pc=0x[0-9a-f]{16}.* thread_id=(\d+)", cpus).group(1))
        name = open(f"/proc/{machine.process.pid}/task/{thread}/comm").read().strip()
        expect(name == "CPU 0/SOFT", f"thread {thread} is called {name}")
        registers = monitor.run("info registers")
        expect(re.search(r"CR0=[89a-f]", registers), "paging is on: " + registers)
        pic = monitor.run("info pic")
        expect("imr" in pic.lower() or "mask" in pic.lower(), pic)
        tree = monitor.run("info mtree")
        for part in ("ram", "bios", "vga"):
            expect(part in tree, f"{part} is not in info mtree")
        expect("440FX" in monitor.run("info pci") or "8086:1237" in monitor.run("info pci"), monitor.run("info pci"))


def the_uuid_is_told():
    number = "550e8400-e29b-41d4-a716-446655440000"
    with Machine("-S", "-accel", "soft", "-uuid", number) as machine:
        expect(machine.monitor.run("info uuid") == number, machine.monitor.run("info uuid"))
    with Machine("-S", "-accel", "soft") as machine:
        expect(machine.monitor.run("info uuid") == "00000000-0000-0000-0000-000000000000", "without -uuid")


def keys_and_screen():
    with booted() as machine:
        monitor = machine.monitor
        for key in "echo":
            monitor.run(f"sendkey {key} 20")
        monitor.run("sendkey spc 20")
        monitor.run("sendkey shift-h 20")
        monitor.run("sendkey i 20")
        monitor.run("sendkey ret 20")
        shown = machine.wait_screen("spark> echo Hi")
        wait_for(lambda: "\nHi" in machine.screen(), "the echo")
        expect("spark>" in shown, shown)
        expect("invalid parameter: bogus" in monitor.run("sendkey ctrl-bogus"), "a bad key is named")
        picture = os.path.join(machine.folder, "screen.png")
        monitor.run(f"screendump {picture}")
        data = open(picture, "rb").read()
        expect(data[:8] == b"\x89PNG\r\n\x1a\n", "PNG")
        width, height = struct.unpack(">II", data[16:24])
        expect((width, height) == (720, 400), f"{width}x{height}")
        picture = os.path.join(machine.folder, "screen.ppm")
        monitor.run(f"screendump {picture}")
        data = open(picture, "rb").read()
        expect(data.startswith(b"P6\n720 400\n255\n") and len(data) == 15 + 720 * 400 * 3, "PPM")
        expect(len(set(data[15:])) > 1, "the picture is blank")
        expect("Error" in monitor.run("screendump /nonexistent/x.png"), "a path that cannot be written")


def reset_and_power():
    with booted() as machine:
        machine.monitor.run("system_reset")
        machine.wait_serial("spark> ", 2)
        machine.monitor.run("system_powerdown")
        expect(machine.wait_end() == 0, "powered off by the button")


def no_reboot_and_no_shutdown():
    with Machine("-no-reboot", *SPARK) as machine:
        machine.wait_serial("spark> ")
        machine.type("reboot\r")
        expect(machine.wait_end() == 0, "-no-reboot ends")
    with Machine("-no-shutdown", *SPARK) as machine:
        machine.wait_serial("spark> ")
        machine.type("poweroff\r")
        wait_for(lambda: "shutdown" in machine.monitor.run("info status"), "shutdown status")
        expect("ended" in machine.monitor.run("cont"), "cont after the end")
        machine.monitor.run("system_reset")
        wait_for(lambda: machine.monitor.run("info status") == "VM status: paused", "reset leaves it paused")
        machine.monitor.run("cont")
        machine.wait_serial("spark> ", 2)


def quit_ends():
    with booted() as machine:
        machine.monitor.socket.sendall(b"quit\n")
        expect(machine.wait_end() == 0, "quit")


def hostile_lines():
    with Machine("-S", "-accel", "soft") as machine:
        monitor = machine.monitor
        monitor.socket.sendall(b"x" * 100000 + b"\n")
        monitor._read()
        monitor.socket.sendall(b"\0\0\0\n")
        monitor._read()
        monitor.run('screendump "unterminated')
        monitor.run("x/99999999999999999999x 0")
        monitor.run("xp/4x 0xffffffffffffffff")
        monitor.run("x/1i $bogus")
        monitor.run("print ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1")
        expect("prelaunch" in monitor.run("info status"), "the monitor still answers")


main([the_uuid_is_told, help_lists_every_command, prelaunch_stop_cont, memory_is_examined, state_is_shown, keys_and_screen, reset_and_power,
      no_reboot_and_no_shutdown, quit_ends, hostile_lines])
