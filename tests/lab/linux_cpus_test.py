#!/usr/bin/env python3
"""Debian's kernel on the software CPU with the CPUs of the document's line: topology, SMBIOS, and CPUs that come and go while
it runs. No lab is booted for this one; it shares the lab's kernel package."""
import os
import re
import sys
import tempfile

import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "system"))
from hearth import Machine, expect, main, wait_for  # noqa: E402

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
stty -echo
echo "guest is up"
while read -r line; do
    eval "$line"
done
"""
SMP = "4,maxcpus=8,sockets=2,cores=2,threads=2"
UUID = "550e8400-e29b-41d4-a716-446655440000"


class Guest:
    """The guest's shell on the serial line."""

    def __init__(self, vm, boots=1):
        self.vm, self.count = vm, 1000 * boots
        vm.wait_serial("guest is up", boots)

    def run(self, command):
        self.count += 1
        mark = f"=={self.count}=="
        before = len(self.vm.read())
        self.vm.type(f"{command}; echo {mark}\n")
        wait_for(lambda: mark in self.vm.read()[before:], command)
        text = self.vm.output[before:].replace("\r", "")
        return text[:text.index(mark)].strip()


def topology(guest):
    """Of each CPU that is online: (package, core) and the siblings."""
    text = guest.run("cd /sys/devices/system/cpu; for cpu in cpu[0-9]*; do cat $cpu/topology/physical_package_id "
                     "$cpu/topology/core_id $cpu/topology/thread_siblings_list 2>/dev/null | tr '\\n' ' '; echo; done; cd /")
    return [tuple(line.split()) for line in text.splitlines() if line.strip()]


def the_guest_sees_the_topology():
    guest = STATE["guest"]
    text = guest.run("cat /proc/cpuinfo")
    expect(text.count("processor\t:") == 4, text)
    expect(set(re.findall(r"siblings\t: (\d+)", text)) == {"4"} and set(re.findall(r"cpu cores\t: (\d+)", text)) == {"2"}, text)
    expect(re.findall(r"\napicid\t\t: (\d+)", text) == ["0", "1", "2", "3"], text)
    expect("QEMU Virtual CPU version 2.5+" in text, text)
    rows = topology(guest)
    expect([row[2] for row in rows] == ["0-1", "0-1", "2-3", "2-3"], f"{rows}")
    expect({row[0] for row in rows} == {"0"} and rows[0][1] == rows[1][1] != rows[2][1], f"{rows}")
    expect(guest.run("cat /sys/devices/system/cpu/possible") == "0-7", "what is possible")


def smbios_is_read():
    guest = STATE["guest"]
    dmi = dict(line.split("=", 1) for line in guest.run(
        "cd /sys/class/dmi/id; for name in sys_vendor product_name product_uuid product_serial bios_vendor chassis_vendor; do "
        "echo $name=$(cat $name); done; cd /").splitlines())
    expect(dmi == {"sys_vendor": "hearth", "product_name": "Standard PC (i440FX + PIIX, 1996)", "product_uuid": UUID,
                   "product_serial": "S123", "bios_vendor": "hearth", "chassis_vendor": "hearth"}, f"{dmi}")
    expect(guest.run("dmesg | grep -c 'SMBIOS 2.8 present'") == "1", "the kernel's word for it")


def cpus(guest):
    return guest.run("cat /sys/devices/system/cpu/present") + " " + guest.run("cat /sys/devices/system/cpu/online")


def a_cpu_comes():
    vm, guest = STATE["vm"], STATE["guest"]
    text = vm.monitor.run("info hotpluggable-cpus")
    expect(text.count("type:") == 8 and text.count("qom_path:") == 4, text)
    text = vm.monitor.run("device_add qemu64-x86_64-cpu,id=new,socket-id=1,core-id=0,thread-id=1")
    expect(text == "", text)
    wait_for(lambda: guest.run("cat /sys/devices/system/cpu/present") == "0-4", "another CPU in the guest")
    expect(vm.monitor.run("info cpus").count("thread_id=") == 5, "five CPUs in the monitor")
    guest.run("echo 1 >/sys/devices/system/cpu/cpu4/online")
    expect(cpus(guest) == "0-4 0-4", cpus(guest))
    text = guest.run("grep -A20 'processor.*4' /proc/cpuinfo")
    expect(re.search(r"physical id\t: 1$", text, re.M) and re.search(r"^apicid\t\t: 5$", text, re.M), text)
    expect(guest.run("taskset 10 sh -c 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done; echo $i'") == "1000", "work on it")
    expect(re.search(r"CPU #5: .* thread_id=\d+", vm.monitor.run("info cpus")), "its number")


def a_cpu_goes():
    vm, guest = STATE["vm"], STATE["guest"]
    expect(vm.monitor.run("device_del new") == "", "it should say nothing")
    wait_for(lambda: vm.monitor.run("info cpus").count("thread_id=") == 4, "four CPUs in the monitor")
    expect(cpus(guest) == "0-3 0-3", cpus(guest))
    expect(vm.monitor.run("device_del new") == "Error: Device 'new' not found", "a name that is gone")
    names = [open(f"/proc/{vm.process.pid}/task/{task}/comm", encoding="ascii").read().strip()
             for task in os.listdir(f"/proc/{vm.process.pid}/task")]
    expect(sorted(name for name in names if name.startswith("CPU")) == [f"CPU {i}/SOFT" for i in range(4)], f"{names}")


def it_comes_again_and_one_of_the_first_goes():
    vm, guest = STATE["vm"], STATE["guest"]
    expect(vm.monitor.run("device_add qemu64-x86_64-cpu,socket-id=1,core-id=0,thread-id=1") == "", "the same place again")
    wait_for(lambda: guest.run("cat /sys/devices/system/cpu/present") == "0-4", "another CPU in the guest")
    guest.run("echo 1 >/sys/devices/system/cpu/cpu4/online")
    expect(vm.monitor.run("device_del /machine/unattached/device[2]") == "", "it should say nothing")
    wait_for(lambda: "CPU #2" not in vm.monitor.run("info cpus"), "CPU 2 to go")
    expect(cpus(guest) == "0-1,3-4 0-1,3-4", cpus(guest))


def what_cannot_be_done_is_said():
    vm = STATE["vm"]
    for command, words in (("device_add qemu64-x86_64-cpu,socket-id=0,core-id=0,thread-id=0", "CPU[0] with APIC ID 0 exists"),
                           ("device_add qemu64-x86_64-cpu,socket-id=0,core-id=9,thread-id=0",
                            "Invalid CPU core-id: 9 must be in range 0:1"),
                           ("device_add qemu64-x86_64-cpu,socket-id=0,core-id=1", "CPU thread-id is not set"),
                           ("device_add kvm64-x86_64-cpu,socket-id=0,core-id=1,thread-id=0",
                            "Invalid CPU type, expected cpu type: 'qemu64-x86_64-cpu'"),
                           ("device_del /machine/unattached/device[0]", "Boot CPU is unpluggable"),
                           ("device_del nobody", "Device 'nobody' not found")):
        text = vm.monitor.run(command)
        expect(text == f"Error: {words}", f"{command}: {text}")


def it_boots_again_with_the_cpus_it_had():
    vm = STATE["vm"]
    vm.monitor.run("system_reset")
    guest = Guest(vm, 2)
    expect(cpus(guest) == "0-3 0-3", cpus(guest))
    text = guest.run("cat /proc/cpuinfo")
    expect(re.findall(r"\napicid\t\t: (\d+)", text) == ["0", "1", "3", "5"], text)


def nothing_to_complain_of():
    text = STATE["guest"].run("dmesg | grep -E 'unchecked MSR|BUG:|WARNING:|Oops:|ACPI.*[Ee]rror|ACPI.*failed'")
    expect(text == "", text)


STATE = {}
with tempfile.TemporaryDirectory(prefix="linux-cpus-") as folder:
    try:
        kernel, _ = lab.kernel()
        lab.initramfs(os.path.join(folder, "initramfs"), INIT)
    except lab.Unavailable as why:
        sys.exit(lab.skip_all(why))
    machine = Machine("-accel", "soft", "-m", "512", "-smp", SMP, "-kernel", kernel, "-initrd", os.path.join(folder, "initramfs"),
                      "-append", "console=ttyS0 quiet", "-uuid", UUID, "-smbios", "type=1,serial=S123", "-nodefaults")
    try:
        STATE["vm"] = machine
        STATE["guest"] = Guest(machine)
        main([the_guest_sees_the_topology, smbios_is_read, a_cpu_comes, a_cpu_goes, it_comes_again_and_one_of_the_first_goes,
              what_cannot_be_done_is_said, nothing_to_complain_of, it_boots_again_with_the_cpus_it_had])
    finally:
        machine.stop()
