#!/usr/bin/env python3
"""Bad input gets one line on stderr and the right exit status, before the guest starts."""
import os
import signal
import stat
import subprocess
import tempfile

from hearth import HEARTH, Machine, Skip, expect, image, main, wait_for

FOLDER = tempfile.TemporaryDirectory(prefix="hearth-test-")


def path(name):
    return os.path.join(FOLDER.name, name)


def make(name, size):
    with open(path(name), "wb") as file:
        file.truncate(size)
    return path(name)


def run(*arguments, **options):
    return subprocess.run([HEARTH, "-display", "none", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, **options)


def refused(*arguments, says, status=1, **options):
    """One line that contains each of the words."""
    done = run("-accel", "soft", *arguments, **options)
    text = done.stderr.decode()
    expect(done.returncode == status, f"{arguments}: status {done.returncode}, {text!r}")
    expect(len(text.strip().splitlines()) == 1, f"{arguments}: not one line: {text!r}")
    expect(text.startswith("hearth: "), f"{arguments}: {text!r} does not say who speaks")
    for word in says:
        expect(word in text, f"{arguments}: {text!r} does not say {word!r}")


def images_that_are_none():
    refused("-fda", path("absent"), says=["absent", "No such file"])
    refused("-fda", FOLDER.name, says=[FOLDER.name, "directory"])
    refused("-hda", make("empty", 0), says=["empty"])
    os.mkfifo(path("fifo"))
    refused("-hda", path("fifo"), says=["fifo"])
    os.symlink(path("loop"), path("loop"))
    refused("-hda", path("loop"), says=["loop"])


def a_diskette_that_is_too_large():
    refused("-fda", make("large.img", 5 << 20), says=["large.img", "-hda"])


def an_unreadable_image():
    if os.getuid() == 0:
        if subprocess.run(["sh", "-c", "command -v setpriv"], stdout=subprocess.DEVNULL).returncode:
            raise Skip("running as root, and there is no setpriv to become somebody else")
        secret = make("secret.img", 1474560)
        os.chmod(FOLDER.name, 0o755)
        os.chmod(secret, 0)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", HEARTH, "-display", "none",
                               "-accel", "soft", "-fda", secret], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=60)
        if b"setpriv" in done.stderr or done.returncode == 127:
            raise Skip("another user cannot run this build: " + done.stderr.decode().strip())
        expect(done.returncode == 1 and b"secret.img" in done.stderr and b"Permission denied" in done.stderr,
               f"{done.returncode}: {done.stderr!r}")
    else:
        secret = make("secret.img", 1474560)
        os.chmod(secret, 0)
        refused("-fda", secret, says=["secret.img", "Permission denied"])


def a_read_only_floppy_is_write_protected():
    floppy = path("protected.img")
    with open(image("spark.img"), "rb") as source, open(floppy, "wb") as copy:
        copy.write(source.read())
    os.chmod(floppy, stat.S_IRUSR)
    with Machine("-accel", "soft", "-fda", floppy) as machine:
        machine.wait_serial("spark> ")


def firmware():
    refused("-bios", path("no-bios.bin"), says=["no-bios.bin", "No such file"])
    refused("-bios", make("bios-empty", 0), says=["bios-empty"])
    refused("-bios", make("bios-one", 1), says=["bios-one"])
    refused("-bios", make("bios-odd", 100000), says=["bios-odd"])
    refused("-bios", make("bios-17m", 17 << 20), says=["bios-17m"])


def memory_sizes():
    refused("-m", "0k1", says=["-m", "0k1"])
    refused("-m", "-1", says=["-m"])
    refused("-m", "abc", says=["-m", "abc"])
    refused("-m", "512MB", says=["-m", "512MB"])
    refused("-m", "1b", says=["-m", "1 MiB"])
    refused("-m", "99999999T", says=["-m"])
    # 0 is QEMU's way of saying "the default".
    with Machine("-accel", "soft", "-m", "0k", "-S") as machine:
        expect("prelaunch" in machine.monitor.run("info status"), "-m 0k is the default size")


def options():
    refused("-bogus", says=["-bogus", "invalid option"])
    refused("-m", says=["-m", "requires an argument"])
    refused("-smp", "0", says=["-smp"])
    refused("-smp", "300", says=["-smp", "300", "255"])
    refused("-smp", "foo", says=["smp.cpus"])
    refused("-boot", "z", says=["Invalid boot device 'z'"])
    refused("-boot", "dd", says=["Boot device 'd' was given twice"])
    refused("-accel", "bogus", says=["bogus", "kvm", "soft"])
    refused("-device", "bogus", says=["bogus"])
    refused("-serial", "bogus:1", says=["bogus"])
    refused("-serial", "unix:" + "x" * 200 + ",server=on", says=["too long", "107"])
    refused("-d", "bogus", says=["bogus"])
    refused("-display", "bogus", says=["bogus"])
    refused("-hda", image("spark-disk.img"), "-hda", image("spark-disk.img"), says=["index=0", "exists"])


def no_kvm():
    """-accel kvm where there is no KVM to use says why; auto goes on with the software CPU and says so in one line."""
    with Machine("-S") as machine:
        machine.monitor.run("info status")
        lines = machine.stderr().strip().splitlines()
        expect(len(lines) == 1 and ("software CPU" in lines[0] or "KVM" in lines[0]), f"{lines}")
    if os.path.exists("/dev/kvm"):
        raise Skip("this host has a /dev/kvm, so its absence cannot be shown here (the lab shows it)")
    done = run("-accel", "kvm")
    expect(done.returncode == 1 and b"/dev/kvm" in done.stderr, f"{done.returncode}: {done.stderr!r}")


def descriptors(pid):
    links = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    except OSError:
        pass  # one was closed meanwhile: the next look sees the rest
    return links


def closed_descriptors():
    """With stdin, stdout and stderr closed the images still open on descriptors of their own."""
    done = subprocess.Popen(["sh", "-c", f"exec '{HEARTH}' -display none -accel soft -fda '{image('spark.img')}' "
                                         "-device isa-debug-exit,iobase=0xf4,iosize=4 <&- >&- 2>&-"])
    try:
        wait_for(lambda: any("signalfd" in link for link in descriptors(done.pid)), "the start")
        expect(os.readlink(f"/proc/{done.pid}/fd/0") == "/dev/null", "descriptor 0 is not /dev/null")
        done.send_signal(signal.SIGTERM)
        expect(done.wait(60) == 0, f"status {done.returncode}")
    finally:
        if done.poll() is None:
            done.kill()
            done.wait()


def signals_end_in_order():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Machine("-accel", "soft", "-fda", image("spark.img")) as machine:
            machine.monitor.run("info status")
            machine.process.send_signal(number)
            expect(machine.wait_end() == 0, f"{number!r}: status {machine.process.returncode}")
            expect(f"terminating on signal {int(number)}" in machine.stderr(), machine.stderr())
            expect(not os.path.exists(machine.socket_path), "the monitor's socket was left behind")


def a_second_writer_is_refused():
    disk = path("locked.img")
    with open(image("spark-disk.img"), "rb") as source, open(disk, "wb") as copy:
        copy.write(source.read())
    with Machine("-accel", "soft", "-hda", disk, "-S") as machine:
        machine.monitor.run("info status")
        refused("-hda", disk, says=["locked.img", "lock"])


def the_help_goes_to_stdout():
    for option in ("-help", "--help", "-h", "-version", "-d help"):
        done = run(*option.split())
        expect(done.returncode == 0 and done.stdout and not done.stderr, f"{option}: {done}")


main([images_that_are_none, a_diskette_that_is_too_large, an_unreadable_image, a_read_only_floppy_is_write_protected,
      firmware, memory_sizes, options, no_kvm, closed_descriptors, signals_end_in_order, a_second_writer_is_refused,
      the_help_goes_to_stdout])
