"""A hardware KVM on any machine: QEMU's TCG emulates AMD-V, so a stock kernel inside it loads a real kvm_amd.

Fetches Debian's kernel package once (.cache/lab), packs an initramfs of busybox, the KVM modules and the files that are
given (programs with their shared libraries), boots it, runs commands in it and hands back what they said over the
serial line. Standard library only; `lab` is the command, *_test.py use run() and report().
"""
import fcntl
import glob
import lzma
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, ".cache", "lab")
MODULES = ["irqbypass", "kvm", "ccp", "kvm-amd"]  # in the order in which they are loaded
# What is unpacked of the kernel's modules: for the lab itself, and drivers for guests that boot the same kernel.
MODULE_FILES = ["virt/lib/*", "arch/x86/kvm/*", "drivers/crypto/ccp/*", "drivers/virtio/*", "drivers/block/virtio_blk*",
                "drivers/block/floppy*", "drivers/char/virtio_console*", "drivers/char/hw_random/*", "drivers/net/virtio_net*",
                "drivers/net/net_failover*", "net/core/failover*", "drivers/net/ethernet/intel/e1000/*", "drivers/net/tun.*",
                "drivers/watchdog/i6300esb*", "drivers/watchdog/watchdog.*", "drivers/ata/libata*", "drivers/ata/ata_piix*",
                "drivers/ata/ata_generic*", "drivers/scsi/s[drg]_mod*", "drivers/scsi/scsi_*", "drivers/cdrom/*",
                "fs/ext4/*", "fs/jbd2/*", "fs/mbcache*", "fs/isofs/*", "block/t10-pi*", "lib/crc*", "lib/libcrc*",
                "crypto/crc*", "drivers/input/mouse/psmouse*", "drivers/input/evdev*", "drivers/input/misc/pcspkr*"]
MARK = "@@lab"  # begins the lines that are the lab's own
SILENCE = 90    # seconds without a sign of life after which the lab counts as stuck
ATTEMPTS = 2
SKIPPED = 77    # exit status of a command that cannot run here; its last line says why


class Unavailable(Exception):
    """The lab cannot run on this machine; says why."""


class Test:
    """A command for the lab's shell. `limit` is in seconds of the host's clock."""

    def __init__(self, name, command, limit=120):
        self.name, self.command, self.limit = name, command, limit
        self.output, self.status = "", None


# ---- the kernel

def quietly(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
        raise Unavailable(f"{command[0]} {command[1]}: {words[-1]}")
    return done.stdout


def download(folder):
    """The kernel and the few modules, out of the package that linux-image-amd64 stands for."""
    for program in ("apt-get", "apt-cache", "dpkg", "tar"):
        if not shutil.which(program):
            raise Unavailable(f"no {program}: the lab's kernel is Debian's package linux-image-amd64")
    depends = quietly("apt-cache", "depends", "linux-image-amd64").decode()
    package = re.search(r"Depends: (linux-image-\S+)", depends)
    if not package:
        raise Unavailable("the package lists know no linux-image-amd64")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        quietly("apt-get", "download", "-q", package.group(1), cwd=scratch)
        archive = glob.glob(os.path.join(scratch, "*.deb"))[0]
        unpacked = os.path.join(scratch, "unpacked")
        os.mkdir(unpacked)
        wanted = ["./boot/vmlinuz*"] + [f"*/kernel/{files}" for files in MODULE_FILES]
        reader = subprocess.Popen(["dpkg", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
        quietly_from(reader, "tar", "-x", "-C", unpacked, "--wildcards", "--no-anchored", *wanted)
        with open(os.path.join(unpacked, "files"), "w", encoding="utf-8") as file:
            file.write(" ".join(MODULE_FILES))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(unpacked, folder)


def is_complete(folder):
    """Whether an earlier run has unpacked all that is wanted now."""
    try:
        with open(os.path.join(folder, "files"), encoding="utf-8") as file:
            return file.read() == " ".join(MODULE_FILES)
    except OSError:
        return False


def quietly_from(reader, *command):
    done = subprocess.run(command, stdin=reader.stdout, stderr=subprocess.PIPE)
    reader.stdout.close()
    reader.wait()
    if done.returncode or reader.returncode:
        raise Unavailable(f"the kernel's package does not unpack: {done.stderr.decode(errors='replace').strip()}")


def kernel():
    """Answers the kernel image and {module: bytes}."""
    os.makedirs(CACHE, exist_ok=True)
    folder = os.path.join(CACHE, "kernel")
    with open(os.path.join(CACHE, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_complete(folder):
            download(folder)
    images = glob.glob(os.path.join(folder, "boot", "vmlinuz*"))
    if not images:
        raise Unavailable(f"no kernel in {folder}; delete the folder to fetch it anew")
    return images[0], drivers(*MODULES)


def module(name):
    """A module's bytes; None if the kernel has no such module (it may be built in)."""
    found = glob.glob(os.path.join(CACHE, "kernel", "**", "kernel", "**", name.replace("_", "[_-]") + ".ko*"), recursive=True)
    if not found:
        return None
    with open(found[0], "rb") as file:
        return lzma.decompress(file.read()) if found[0].endswith(".xz") else file.read()


def drivers(*names):
    """{module: bytes} of these modules and those they need, in the order in which they are loaded; after kernel()."""
    wanted = {}
    for name in names:
        content = module(name)
        if content is None:
            raise Unavailable(f"the kernel has no module {name}; delete {CACHE} to fetch it anew")
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        needed = depends.group(1).decode().split(",") if depends and depends.group(1) else []
        wanted.update({key: value for key, value in drivers(*needed).items() if key.replace("-", "_") not in
                       {have.replace("-", "_") for have in wanted}})
        wanted.setdefault(name, content)
    return wanted


# ---- the initramfs

class Archive:
    """A cpio archive in the kernel's "newc" format (its Documentation/driver-api/early-userspace)."""

    def __init__(self, file):
        self.file, self.number, self.folders = file, 0, set()

    def entry(self, path, mode, data=b"", device=(0, 0)):
        self.number += 1
        name = path.lstrip("/").encode() + b"\0"
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
        self.file.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self.file.write(b"\0" * (-(110 + len(name)) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, path):
        if path not in ("", "/") and path not in self.folders:
            self.folder(os.path.dirname(path))
            self.folders.add(path)
            self.entry(path, stat.S_IFDIR | 0o755)

    def add(self, path, data, mode=0o755):
        self.folder(os.path.dirname(path))
        self.entry(path, stat.S_IFREG | mode, data)

    def end(self):
        self.entry("TRAILER!!!", 0)


def initramfs(path, init, modules=(), programs=()):
    """A file for -initrd: static busybox, more programs beside it, drivers with those they need in /modules (`order` lists
    them as they have to be loaded), and the script that is started."""
    busybox = shutil.which("busybox")
    if not busybox or libraries(busybox):
        raise Unavailable("no static busybox: sudo apt-get install busybox-static")
    content = drivers(*modules)
    with open(path, "wb") as output:
        archive = Archive(output)
        for folder in ("/dev", "/proc", "/sys", "/tmp", "/bin"):
            archive.folder(folder)
        for name, number in (("console", (5, 1)), ("null", (1, 3)), ("zero", (1, 5))):
            archive.entry(f"/dev/{name}", stat.S_IFCHR | 0o600, device=number)
        for program in (busybox, *programs):
            with open(program, "rb") as file:
                archive.add(f"/bin/{os.path.basename(program)}", file.read())
        for name, data in content.items():
            archive.add(f"/modules/{name}.ko", data)
        archive.add("/modules/order", "".join(name + "\n" for name in content).encode())
        archive.add("/init", init.encode())
        archive.end()


def libraries(program):
    """The shared libraries of a program, its loader included; none for what is no dynamic ELF file."""
    with open(program, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    if "not found" in listed:
        raise Unavailable(f"{program} lacks shared libraries")
    return re.findall(r"(/\S+) \(0x", listed)


INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root CMOCKA_MESSAGE_OUTPUT=TAP
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmpfs /tmp
dmesg -n 1
while read -r name options; do
    insmod /lab/modules/$name.ko $options || echo "insmod $name failed"
done </lab/modules/order
cd /
(while sleep 10; do echo; echo "@@lab alive"; done) &
while read -r number limit; do
    echo
    echo "@@lab begin $number"
    timeout -s KILL "$limit" sh "/lab/tests/$number" </dev/null 2>&1
    status=$?
    echo
    echo "@@lab end $number $status"
done </lab/tests/order
poweroff -f
"""


def pack(path, modules, files, tests, module_options):
    """files: {path on this machine: path in the lab}."""
    busybox = shutil.which("busybox")
    if not busybox or libraries(busybox):
        raise Unavailable("no static busybox: sudo apt-get install busybox-static")
    with open(path, "wb") as output:
        archive = Archive(output)
        archive.folder("/dev")
        archive.entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        archive.add("/init", INIT.encode())
        contents = {"/bin/busybox": busybox}
        for source, place in files.items():
            if not os.path.exists(source):
                raise Unavailable(f"no {source}: it is built by make")
            contents[place] = source
            for library in libraries(source):
                contents[library] = library
        for place, source in contents.items():
            with open(source, "rb") as file:
                archive.add(place, file.read())
        for name, content in modules.items():
            archive.add(f"/lab/modules/{name}.ko", content)
        order = "".join(f"{name} {module_options.get(name, '')}\n" for name in modules)
        archive.add("/lab/modules/order", order.encode())
        for number, test in enumerate(tests):
            archive.add(f"/lab/tests/{number}", (test.command + "\n").encode())
        order = "".join(f"{number} {test.limit}\n" for number, test in enumerate(tests))
        archive.add("/lab/tests/order", order.encode())
        archive.end()


# ---- running it

def sort_output(text, tests):
    """Gives each test its output and status out of what came over the serial line."""
    number = None
    for line in text.replace("\r", "").split("\n"):
        words = line.split()
        if line == MARK + " alive":
            continue
        if line.startswith(MARK) and words[1] == "begin":
            number = int(words[2])
        elif line.startswith(MARK) and words[1] == "end":
            tests[int(words[2])].status = int(words[3])
            number = None
        elif number is not None and line:
            tests[number].output += line + "\n"


def listen(process, deadline, echo):
    """What comes over the serial line, and whether the machine ended by itself."""
    text = b""
    while time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], SILENCE)[0]:
            return text, False
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            return text, True
        text += piece
        if echo:
            sys.stderr.write(piece.decode(errors="replace"))
        if b"soft lockup" in piece:
            return text, False
    return text, True


def boot(command, limit, echo):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        return listen(process, time.monotonic() + limit, echo)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run(tests, files=None, cpus=1, megabytes=1024, append="", module_options=None, limit=None, echo=False):
    """Runs the tests in one boot and fills in their output and status; status None: not reached. Answers all that came
    over the serial line. A lab that is stuck is started once more; with one CPU that was never seen, with two QEMU 7.2
    gets stuck about once in a hundred VMs. Raises Unavailable."""
    program = shutil.which("qemu-system-x86_64")
    if not program:
        raise Unavailable("no qemu-system-x86_64: sudo apt-get install qemu-system-x86")
    image, modules = kernel()
    limit = limit or 120 + sum(test.limit for test in tests)
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        initramfs = os.path.join(folder, "initramfs")
        pack(initramfs, modules, files or {}, tests, module_options or {})
        command = [program, "-accel", "tcg,thread=multi", "-cpu", "max,+svm", "-m", str(megabytes), "-smp", str(cpus),
                   "-kernel", image, "-initrd", initramfs, "-append",
                   f"console=ttyS0 panic=-1 quiet {append}", "-display", "none", "-serial", "stdio",
                   "-monitor", "none", "-nic", "none", "-no-reboot"]
        for attempt in range(ATTEMPTS):
            text, ended = boot(command, limit, echo)
            if ended:
                break
            print(f"# the lab was stuck (attempt {attempt + 1} of {ATTEMPTS})", flush=True)
    text = text.decode(errors="replace")
    sort_output(text, tests)
    return text


TAP = re.compile(r"^\s*(not ok|ok)\b\s*\d*\s*-?\s*(.*)$")


def report(tests):
    """Prints TAP: a line for each one that a test printed itself, else one for the test. Answers an exit status."""
    number, failed = 0, 0
    for test in tests:
        said = [match for match in map(TAP.match, test.output.splitlines()) if match]
        bad = any(match.group(1) == "not ok" for match in said) or test.status not in (0, SKIPPED)
        if bad:
            for line in test.output.splitlines():
                print(f"# {line}")
        else:
            for line in test.output.splitlines():
                if line.startswith("#"):
                    print(line)
        for match in said:
            number += 1
            print(f"{match.group(1)} {number} - {test.name}: {match.group(2)}")
        whole = not said or (bad and not any(match.group(1) == "not ok" for match in said))
        if whole:
            number += 1
            print(f"{'not ok' if bad else 'ok'} {number} - {test.name}{ending(test)}")
        failed += bad
    print(f"1..{number}", flush=True)
    return 1 if failed else 0


def ending(test):
    last = (test.output.splitlines() or [""])[-1]
    if test.status == SKIPPED:
        return f" # SKIP {last}"
    if test.status is None:
        return " (the lab ended before it had)"
    return f" (status {test.status})" if test.status else ""


def skip_all(why):
    print(f"ok 1 - the lab # SKIP {why}")
    print("1..1", flush=True)
    return 0


def main(tests, files=None, **options):
    """For *_test.py: runs, reports and exits; a machine that cannot have the lab skips."""
    main_rounds([(tests, files, options)])


def main_rounds(rounds):
    """The same for several boots, each (tests, files, options of run())."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for tests, files, options in rounds:
            started = time.monotonic()
            text = run(tests, files, **options)
            print(f"# {time.monotonic() - started:.1f} s in the lab", flush=True)
            if tests and tests[0].status is None and not tests[0].output:
                print("# the lab said:", *text.splitlines()[-20:], sep="\n# ")
        status = report([test for tests, *_ in rounds for test in tests])
    except Unavailable as why:
        status = skip_all(why)
    sys.exit(status)
