#!/usr/bin/env python3
"""-kernel, -initrd and -append with a small multiboot kernel on the software CPU: what it is given, reset, power-off,
pc-testdev; and what is refused."""
import os
import subprocess
import tempfile

from hearth import HEARTH, PATIENCE, Machine, expect, image, main

KERNEL = image("direct-guest.elf")
LINES = ["upper 0001FC00", "bss 00000000", "root 20445352", "ide 00000001"]  # 128 MiB; "RSD "


def hearth(*arguments):
    done = subprocess.run([HEARTH, "-accel", "soft", "-nographic", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    return done.returncode, done.stdout.decode(errors="replace").replace("\r", ""), done.stderr.decode()


def guest(letter, *arguments):
    status, output, error = hearth("-kernel", KERNEL, "-append", letter, *arguments)
    expect(status == 0, f"status {status}: {output} {error}")
    return output


def says_what_it_was_given():
    output = guest("hello p")
    expect(f"direct guest: {KERNEL} hello p\n" in output, output)
    for line in LINES + ["modules 00000000"]:
        expect(line in output, f"{line}: {output}")


def without_a_screen():
    expect("ide 00000001" in guest("p", "-vga", "none"), "-vga none")


def modules():
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("one", "a,b")]
        for path, text in zip(paths, ("first file", "second file")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        output = guest("p", "-initrd", f"{paths[0]} with words,{paths[1].replace(',', ',,')}")
        expect("modules 00000002" in output, output)
        expect(f"{paths[0]} with words: first fi\n" in output, output)
        expect(f"{paths[1]}: second f\n" in output, output)


def reset_starts_it_again():
    output = guest("r")
    expect(output.count("direct guest: ") == 2 and output.count("bss 00000000") == 2, output)
    expect(guest("r", "-no-reboot").count("direct guest: ") == 1, "-no-reboot")


def screen():
    with Machine("-accel", "soft", "-kernel", KERNEL, "-append", "h") as machine:
        machine.wait_serial("halted")
        expect("on the screen" in machine.monitor.run("screentext"), "the text")
        path = os.path.join(machine.folder, "picture.ppm")
        machine.monitor.run(f"screendump {path}")
        with open(path, "rb") as file:
            header, pixels = file.read().split(b"\n255\n", 1)
        expect(header == b"P6\n720 400", header)
        expect(set(pixels[720 * 3 * 16:]) == {0}, "the rest is blank")
        line = 720 * 3 * 7  # through the first letter
        expect(any(pixels[line:line + 9 * 3]), "the font")


def test_device():
    output = guest("t", "-device", "pc-testdev")
    for line in ("data 00000056", "memory 00008765", "request 00000020"):
        expect(line in output, f"{line}: {output}")
    expect("data 000000FF" in guest("t"), "without it nobody answers")
    status, output, _ = hearth("-device", "?")
    expect(status == 0 and "pc-testdev" in output, output)


def refusals():
    with tempfile.TemporaryDirectory() as folder:
        text = os.path.join(folder, "text")
        with open(text, "w", encoding="utf-8") as file:
            file.write("no kernel\n" * 100)
        absent = os.path.join(folder, "absent")
        cases = [
            (["-append", "x"], "-append only allowed with -kernel option"),
            (["-initrd", "x"], "-initrd only allowed with -kernel option"),
            (["-kernel", absent], f"could not load kernel '{absent}': No such file"),
            (["-kernel", folder], "it is a directory"),
            (["-kernel", "/dev/null"], "it is not a file"),
            (["-kernel", text], "no Linux bzImage, no multiboot kernel and no ELF file"),
            (["-kernel", KERNEL, "-initrd", absent], f"could not load initrd '{absent}': No such file"),
            (["-kernel", KERNEL, "-m", "1M"], "more than 1 MiB"),
            (["-kernel", KERNEL, "-append", "x" * 30000], "command line"),
        ]
        for arguments, words in cases:
            status, _, error = hearth(*arguments)
            expect(status == 1 and words in error and len(error.strip().splitlines()) == 1, f"{words}: {status} {error}")


main([says_what_it_was_given, without_a_screen, modules, reset_starts_it_again, screen, test_device, refusals])
