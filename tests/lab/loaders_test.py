#!/usr/bin/env python3
"""Boot loaders and other programs that nobody here wrote, from the media that Debian ships or its tools make, on the
software CPU: GRUB starts Linux from a CD, GRUB's rescue media, syslinux on a floppy, memtest86+, iPXE, Debian's
installer up to its first question. Prints TAP.
memtest86+ is stopped at its last test, which waits for minutes; FULL=1 lets it finish the pass."""
import os
import re
import shutil
import subprocess
import sys

import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "system"))
from hearth import Failure, IMAGES, Machine, PATIENCE, Skip, expect, main, wait_for  # noqa: E402

GRUB = "/usr/lib/grub-rescue/grub-rescue-"
MEMTEST = "/usr/lib/memtest86+/memtest86+x64.iso"
IPXE = "/usr/lib/ipxe/ipxe.iso"
INSTALLER = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/"
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "guest: $(/bin/busybox grep -c ^processor /proc/cpuinfo) CPUs"
/bin/busybox dmesg -r | /bin/busybox grep -E '^<[0-4]>' | /bin/busybox sed 's/^/warning: /'
/bin/busybox poweroff -f
"""
MENU = """set timeout=0
menuentry "Linux" {
    linux /boot/vmlinuz console=ttyS0 quiet panic=-1
    initrd /boot/initrd
}
"""
# What the same kernel says at warning level in QEMU's pc machine: the end of the line that counts the CPUs, no MMCONFIG,
# and a clock that it does not trust. The first two are what a vCPU measures whose host had no time for it just then.
KNOWN = re.compile(r"calibrate against PIT|APIC calibration not consistent|\] ( *#\d+)+$|MMCONFIG|[Uu]nstable|want to keep using the local clock|"
                   r"trace_clock=local|on the kernel command line")


def need(path, package):
    if not os.path.exists(path):
        raise Skip(f"no {path}: sudo apt-get install {package}")
    return path


def need_program(name, package):
    if not shutil.which(name):
        raise Skip(f"no {name}: sudo apt-get install {package}")


def machine(*arguments):
    return Machine("-accel", "soft", "-m", "32", *arguments)


def floppy(source):
    path = os.path.join(IMAGES, os.path.basename(source))
    shutil.copy(source, path)
    return path


def run_quietly(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0, f"{' '.join(command)}: {done.stdout.decode(errors='replace')[-500:]}")


def linux_cd():
    """An ISO image with GRUB, Debian's kernel and an initramfs."""
    need_program("grub-mkrescue", "grub-common")
    need_program("xorriso", "xorriso")
    need("/usr/lib/grub/i386-pc", "grub-pc-bin")
    path, tree = os.path.join(IMAGES, "linux.iso"), os.path.join(IMAGES, "linux")
    if os.path.exists(path):
        return path
    os.makedirs(os.path.join(tree, "boot", "grub"), exist_ok=True)
    try:
        kernel, _ = lab.kernel()
        lab.initramfs(os.path.join(tree, "boot", "initrd"), INIT)
    except lab.Unavailable as why:
        raise Skip(why) from None
    shutil.copy(kernel, os.path.join(tree, "boot", "vmlinuz"))
    with open(os.path.join(tree, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as file:
        file.write(MENU)
    run_quietly("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", path, tree)
    return path


def linux_from_grub(cpus):
    with Machine("-accel", "soft", "-m", "256", "-smp", str(cpus), "-cdrom", linux_cd(), "-boot", "d",
                 "-no-reboot") as guest:
        expect(guest.wait_end() == 0, "the guest did not power off")
        text = guest.read()
    expect(f"guest: {cpus} CPUs" in text, f"not {cpus} CPUs in {text!r}")
    warnings = [line.rstrip() for line in text.splitlines() if line.startswith("warning: ")]
    new = [line for line in warnings if not KNOWN.search(line)]
    expect(not new, f"the kernel warns of {new}")


def grub_prompt(*arguments, disk):
    with machine(*arguments) as guest:
        guest.wait_screen("GNU GRUB")
        guest.monitor.run("sendkey c")
        guest.wait_screen("grub>")
        for key in ("l", "s", "ret"):
            guest.monitor.run(f"sendkey {key}")
        guest.wait_screen(disk)


def test_grub_rescue_cd():
    grub_prompt("-cdrom", need(GRUB + "cdrom.iso", "grub-rescue-pc"), "-boot", "d", disk="(cd)")


def test_grub_rescue_floppy():
    grub_prompt("-fda", floppy(need(GRUB + "floppy.img", "grub-rescue-pc")), "-boot", "a", disk="(fd0)")


def test_syslinux_on_a_floppy():
    need_program("syslinux", "syslinux")
    need_program("mformat", "mtools")
    image, settings = os.path.join(IMAGES, "syslinux.img"), os.path.join(IMAGES, "syslinux.cfg")
    with open(image, "wb") as file:
        file.truncate(1440 << 10)
    with open(settings, "w", encoding="utf-8") as file:
        file.write("SAY greetings from the floppy\nPROMPT 1\nTIMEOUT 0\n")
    run_quietly("mformat", "-i", image, "-f", "1440", "::")
    run_quietly("mcopy", "-i", image, settings, "::")
    run_quietly("syslinux", "--install", image)
    with machine("-fda", image, "-boot", "a") as guest:
        guest.wait_screen("greetings from the floppy")
        guest.wait_screen("boot:")


def memtest(cpus):
    """All tests but the last, or a whole pass."""
    end = re.compile(r"Pass:\s+1\s" if os.environ.get("FULL") else r"Test #10")
    with machine("-smp", str(cpus), "-cdrom", need(MEMTEST, "memtest86+"), "-boot", "d") as guest:
        def ended():
            shown = guest.screen()
            count = re.search(r"Errors:\s+(\d+)", shown)
            if count and count.group(1) != "0":
                raise Failure(f"memtest86+ found errors:\n{shown}")
            return shown if count and end.search(shown) else None
        shown = wait_for(ended, end.pattern, PATIENCE * (5 if os.environ.get("FULL") else 1))
        expect(f"CPU: {cpus} Cores" in shown, shown)


def test_ipxe_gets_an_address():
    with machine("-cdrom", need(IPXE, "ipxe"), "-boot", "d", "-nic", "user,model=e1000") as guest:
        guest.wait_screen("net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2")


def test_debians_installer_asks_its_first_question():
    kernel = need(INSTALLER + "linux", "debian-installer-12-netboot-amd64")
    with Machine("-accel", "soft", "-m", "1024", "-kernel", kernel, "-initrd", INSTALLER + "initrd.gz", "-append",
                 "console=ttyS0 quiet TERM=vt102") as guest:
        guest.wait_serial("Select a language")


main([(f"Linux from a CD by GRUB, {cpus} CPUs, says no more than in QEMU",
       lambda cpus=cpus: linux_from_grub(cpus)) for cpus in (1, 2, 4, 8)] +
     [test_grub_rescue_cd, test_grub_rescue_floppy, test_syslinux_on_a_floppy] +
     [(f"memtest86+ finds no error, {cpus} CPUs", lambda cpus=cpus: memtest(cpus)) for cpus in (1, 2)] +
     [test_ipxe_gets_an_address, test_debians_installer_asks_its_first_question])
