#!/usr/bin/env python3
"""hearth on a real KVM: SeaBIOS and spark from each kind of medium, with the kernel's interrupt chips and without, with
nested and with shadow paging; and which engine -accel auto takes. The counted VM exits are for the record."""
import glob
import os
import sys

import lab

BUILD = os.path.join(lab.ROOT, "build")
FIRMWARE = ["bios-256k.bin", "vgabios-stdvga.bin"]


def firmware():
    places = {}
    for name in FIRMWARE:
        found = [path for folder in ("seabios", "qemu") for path in glob.glob(f"/usr/share/{folder}/{name}")]
        if not found:
            raise lab.Unavailable(f"no {name}: sudo apt-get install seabios")
        places[found[0]] = f"/usr/share/seabios/{name}"
    return places


def files():
    places = dict(firmware())
    places[os.path.join(lab.ROOT, "tests", "lab", "spark.sh")] = "/spark.sh"
    for name in ("hearth", "spark.img", "spark-disk.img", "spark.iso"):
        places[os.path.join(BUILD, name)] = f"/build/{name}"
    return places


def boots(name, arguments):
    return lab.Test(name, f"sh /spark.sh {arguments}", 400)


TESTS = [
    boots("floppy", "-accel kvm -fda /build/spark.img"),
    boots("disk", "-accel kvm -hda /build/spark-disk.img"),
    boots("CD", "-accel kvm -cdrom /build/spark.iso -boot d"),
    boots("two CPUs", "-accel kvm -smp 2 -fda /build/spark.img"),
    boots("without the kernel's chips", "-accel kvm,kernel-irqchip=off -fda /build/spark.img"),
    lab.Test("-accel auto takes KVM",
             "echo quit | /build/hearth -display none -monitor stdio 2>&1 | grep 'running on KVM: kvm_amd, '"),
    lab.Test("-accel auto without /dev/kvm takes the software CPU",
             "rm /dev/kvm; echo quit | /build/hearth -display none -monitor stdio 2>&1 | grep 'software CPU: no /dev/kvm'"),
    lab.Test("-accel kvm without /dev/kvm is one line",
             "/build/hearth -accel kvm -display none >/tmp/out 2>&1; status=$?; cat /tmp/out\n"
             "[ $status = 1 ] && [ $(wc -l </tmp/out) = 1 ] && grep -q 'no /dev/kvm: sudo modprobe' /tmp/out"),
]

SHADOW = [boots("shadow paging", "-accel kvm -fda /build/spark.img")]


def main():
    try:
        lab.main_rounds([(TESTS, files(), {}), (SHADOW, files(), {"module_options": {"kvm-amd": "npt=0"}})])
    except lab.Unavailable as why:
        sys.exit(lab.skip_all(why))


if __name__ == "__main__":
    main()
