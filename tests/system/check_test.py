#!/usr/bin/env python3
"""hearth check on recorded hosts (Intel, AMD, nested, WSL2, locked by the firmware, without permission), hearth create, hearth host."""
import gzip
import json
import os
import shutil
import struct
import subprocess
import tempfile

from hearth import HEARTH, Skip, expect, main

CONFIG = "\n# CONFIG_KVM_COMPAT is not set\n" + "".join(
    f"CONFIG_{name}=y\n" for name in ("VIRTUALIZATION", "HAVE_KVM", "HAVE_KVM_IRQCHIP", "HAVE_KVM_IRQFD", "KVM_MMIO")) + \
    "CONFIG_KVM=m\nCONFIG_KVM_INTEL=m\nCONFIG_KVM_AMD=m\n"
CPU = "processor\t: 0\nflags\t\t: fpu msr {} lm\n"


class Host(tempfile.TemporaryDirectory):
    def __init__(self, **files):
        super().__init__(prefix="hearth-host-")
        for path, text in files.items():
            self.add(path.replace("__", "/"), text)

    def add(self, path, content=""):
        path = os.path.join(self.name, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def check(self, *arguments):
        done = run("check", *arguments, "--json", "--root", self.name)
        answer = json.loads(done.stdout)
        return done.returncode, {item["item"]: item for item in answer["items"]}, answer


def run(*arguments, **options):
    return subprocess.run([HEARTH, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, **options)


def host(flags, module=None, **more):
    made = Host()
    made.add("proc/cpuinfo", CPU.format(flags))
    made.add("proc/config.gz", gzip.compress(CONFIG.encode()))
    made.add("proc/meminfo", "HugePages_Total:      16\nHugePages_Free:       12\nHugepagesize:       2048 kB\n")
    made.add("proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n")
    made.add("proc/version", more.get("version", "Linux version 6.1.0"))
    if module:
        made.add("dev/kvm")
        made.add("proc/modules", f"{module} 1 0 - Live 0x0\nkvm 1 1 {module}, Live 0x0\n")
        made.add("sys/module/kvm/refcnt", "0\n")
        made.add(f"sys/module/{module}/refcnt", "0\n")
        parameter = "ept" if module == "kvm_intel" else "npt"
        made.add(f"sys/module/{module}/parameters/{parameter}", more.get("paging", "Y") + "\n")
    return made


FEATURE, LOCK = "for virtualization in the CPU (vmx, svm)", "whether the firmware has it locked"


def an_intel_host_that_is_well():
    with host("vmx ept", "kvm_intel") as root:
        made = Host.__new__(Host)
        made.name = root
        status, items, answer = made.check()
        expect(status == 0 and answer["guests_run_on_kvm"], items)
        expect(items[FEATURE]["found"] == "vmx: Intel VT-x", items[FEATURE])
        expect(items["the module kvm_intel"]["found"] == "loaded", "the module")
        expect(items["for nested page tables (ept)"]["found"] == "on", "EPT")
        expect(items["the kernel's option CONFIG_KVM"]["found"] == "m", "the configuration")
        expect(items["the kernel's option CONFIG_KVM_COMPAT"]["found"] == "n", "not set")
        expect(items["the kernel's option CONFIG_KVM_VFIO"]["found"] == "absent", "absent")
        expect(items["for reserved huge pages"]["found"].startswith("16 of 2048 kB, 12 free, hugetlbfs mounted"), "pages")
        text = run("check", "--root", root).stdout
        expect("hearth: Checking for virtualization" in text and ": PASS (vmx: Intel VT-x)" in text, text)
        quiet = run("check", "-q", "--root", root)
        expect(quiet.returncode == 0 and "PASS" not in quiet.stdout, quiet.stdout)


def look(made, *arguments):
    with made as root:
        again = Host.__new__(Host)
        again.name = root
        return again.check(*arguments)


def an_amd_host_with_nested_paging_off():
    status, items, _ = look(host("svm npt", "kvm_amd", paging="N"))
    expect(status == 0, "it runs all the same")
    expect(items["for nested page tables (npt)"]["state"] == "warning", items)
    expect("hearth host ept on" in items["for nested page tables (npt)"]["mend"], items)


def the_module_is_not_loaded():
    status, items, _ = look(host("vmx ept"))
    expect(status == 1, "no KVM")
    expect(items["the module kvm"]["mend"] == "sudo modprobe kvm", items)
    expect(items["the module kvm_intel"]["mend"] == "sudo modprobe kvm_intel", items)
    expect(items["the device /dev/kvm"]["state"] == "missing", items)
    expect(items[LOCK]["state"] == "unknown", items)


def locked_by_the_firmware():
    made = host("vmx ept")
    made.add("dev/cpu/0/msr", b"\0" * 0x3a + struct.pack("<Q", 1))
    status, items, _ = look(made)
    expect(status == 1 and items[LOCK]["found"] == "locked off", items[LOCK])
    expect("Advanced, CPU Configuration" in items[LOCK]["mend"], items[LOCK])
    made = host("vmx ept")
    made.add("dev/kmsg", "6,1,1,-;kvm: disabled by bios\n")
    expect(look(made)[1][LOCK]["found"] == "the kvm module found it disabled by the firmware", "the module's refusal")
    made = host("vmx ept")
    made.add("dev/cpu/0/msr", b"\0" * 0x3a + struct.pack("<Q", 5))
    expect(look(made)[1][LOCK]["state"] == "ok", "locked with VMX on")


def no_feature_nested_and_wsl():
    expect("firmware" in look(host(""))[1][FEATURE]["mend"], "switched off or not there")
    expect("nested=1" in look(host("hypervisor"))[1][FEATURE]["mend"], "a guest without nesting")
    wsl = look(host("hypervisor", version="Linux version 5.15.0-microsoft-standard-WSL2"))[1]["what this host is"]
    expect(wsl["found"] == "WSL2" and "nestedVirtualization=true" in wsl["mend"], wsl)


def no_permission():
    if os.getuid():
        made = host("vmx ept", "kvm_intel")
        os.chmod(os.path.join(made.name, "dev/kvm"), 0)
        status, items, _ = look(made)
        expect(status == 1 and "usermod -aG kvm" in items["the device /dev/kvm"]["mend"], items)
        return
    # root may do everything: somebody else looks.
    made = host("vmx ept", "kvm_intel")
    os.chmod(os.path.join(made.name, "dev/kvm"), 0)
    os.chmod(made.name, 0o755)
    with made as root:
        done = run("check", "--json", "--root", root, user=65534, group=65534, extra_groups=[])
        expect(done.returncode == 1 and "usermod -aG kvm" in done.stdout, done.stdout + done.stderr)


def the_hosts_cpus():
    made = Host()
    made.add("sys/devices/system/cpu/online", "0-3\n")
    made.add("sys/devices/system/cpu/isolated", "2-3\n")
    made.add("sys/devices/system/cpu/nohz_full", "3\n")
    for cpu in range(4):
        made.add(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", f"{cpu & 2}-{cpu | 1}\n")
    made.add("sys/devices/system/node/node0/cpulist", "0-1\n")
    made.add("sys/devices/system/node/node1/cpulist", "2-3\n")
    for thread, cpu in ((10, 1), (11, 3), (12, 1)):
        made.add(f"proc/10/task/{thread}/stat", f"{thread} (odd ) name) S " + "0 " * 35 + f"{cpu} 0 0\n")
    with made as root:
        rows = [line.split() for line in run("check", "cpus", "--root", root).stdout.splitlines()]
    expect(rows[2] == ["1", "-", "-", "0", "0-1", "2"], rows)
    expect(rows[4] == ["3", "isolated", "nohz_full", "1", "2-3", "1"], rows)
    here = run("check", "cpus")
    expect(here.returncode == 0 and len(here.stdout.splitlines()) > 1, "this host")


def images_are_created():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ubuntu1604.img")
        expect(run("create", path, "8G").returncode == 0, "create")
        found = os.stat(path)
        expect(found.st_size == 8 << 30 and found.st_blocks < 100, "sparse")
        again = run("create", path, "1M")
        expect(again.returncode == 1 and "is there already" in again.stderr and os.stat(path).st_size == 8 << 30, again.stderr)
        full = os.path.join(folder, "full")
        expect(run("create", full, "3M", "--full").returncode == 0, "full")
        expect(os.stat(full).st_blocks >= 3 << 11, "it is all there")
        for bad in (("0",), ("-1",), ("8X",), ("8G", "--format", "vdi"), ("8G", "--format"), ("9000000T",), (),
                    ("8G", "--backing", full), ("8G", "--format", "qcow2", "--backing", full),
                    ("8G", "--format", "qcow2", "--backing-format", "raw")):
            done = run("create", os.path.join(folder, "bad"), *bad)
            expect(done.returncode == 1 and not os.path.exists(os.path.join(folder, "bad")), bad)
        expect("No such file" in run("create", "/nonexistent/x", "1M").stderr, "no folder")


def qcow2_images_are_created():
    if not shutil.which("qemu-img"):
        raise Skip("no qemu-img (qemu-utils)")
    with tempfile.TemporaryDirectory() as folder:
        path, full, over = (os.path.join(folder, name) for name in ("disk.qcow2", "full.qcow2", "over.qcow2"))
        expect(run("create", path, "8G", "--format", "qcow2").returncode == 0, "create")
        expect(run("create", full, "3M", "--full", "--format", "qcow2").returncode == 0, "full")
        expect(os.stat(full).st_blocks >= 3 << 11 and os.stat(path).st_size < 1 << 20, "one of them is all there")
        expect(run("create", over, "8G", "--format", "qcow2", "--backing", "disk.qcow2", "--backing-format", "qcow2").returncode == 0,
               "backed")
        for name in (path, full, over):
            subprocess.run(["qemu-img", "check", "-q", name], check=True, timeout=60)
        info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", over], check=True, timeout=60,
                                         stdout=subprocess.PIPE).stdout)
        expect(info["virtual-size"] == 8 << 30 and info["backing-filename"] == "disk.qcow2"
               and info["backing-filename-format"] == "qcow2", info)


def the_host_is_prepared_with_care():
    with Host() as root:
        expect("No boot loader" in run("host", "--root", root, "isolate", "2-3").stdout, "none")
        made = Host.__new__(Host)
        made.name = root
        made.add("etc/default/grub", "")
        said = run("host", "--root", root, "isolate", "2-3")
        expect("isolcpus=2-3 nohz_full=2-3 rcu_nocbs=2-3" in said.stdout and "update-grub" in said.stdout, said.stdout)
        expect(run("host", "isolate", "x").returncode == 1 and run("host", "isolate", "0").returncode == 1, "refused")
        expect("neither kvm_intel nor kvm_amd is loaded" in run("host", "--root", root, "ept", "on").stderr, "no module")
        made.add("sys/module/kvm_intel/refcnt", "2\n")
        expect("a virtual machine runs" in run("host", "--root", root, "ept", "off").stderr, "in use")
        os.remove(os.path.join(root, "sys/module/kvm_intel/refcnt"))
        expect("kvm_intel.ept=0" in run("host", "--root", root, "ept", "off").stderr, "built in")
    for bad in ((), ("hugepages",), ("hugepages", "x"), ("ept",), ("ept", "maybe"), ("bogus",)):
        expect(run("host", *bad).returncode == 2, bad)
    expect(run("check", "--bogus").returncode == 2, "check's usage")


main([an_intel_host_that_is_well, an_amd_host_with_nested_paging_off, the_module_is_not_loaded, locked_by_the_firmware,
      no_feature_nested_and_wsl, no_permission, the_hosts_cpus, images_are_created, qcow2_images_are_created,
      the_host_is_prepared_with_care])
