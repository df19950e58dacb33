#!/usr/bin/env python3
"""Devices that Debian's kernel drives on the software CPU: the HPET as a clocksource, the i6300esb watchdog whose guest falls
silent, virtio input devices, the clock at the date it was told. Prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

import lab

HEARTH = os.path.join(lab.ROOT, "build", "hearth")
MODULES = ["i6300esb", "virtio_pci", "virtio_input", "evdev"]
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo "guest: clocks $(cat /sys/devices/system/clocksource/clocksource0/available_clocksource)"
echo "guest: year $(date +%Y)"
for module in $(cat /modules/order); do
    options=; [ $module = i6300esb ] && options="heartbeat=2"
    insmod /modules/$module.ko $options || echo "insmod $module failed"
done
sed -n 's/^N: Name=/guest: input /p' /proc/bus/input/devices
echo "guest: axes $(grep -A10 'Virtio Tablet' /proc/bus/input/devices | grep ABS)"
dmesg | grep -iE "WARNING:|BUG:|Oops:|hpet.*(fail|bad|error|disab)" | sed 's/^/complaint: /'
echo "guest: watched"
exec 3>/dev/watchdog
echo 1 >&3
sleep 60
echo "guest: still there"
poweroff -f
"""


def boot(image, guest):
    done = subprocess.run([HEARTH, "-accel", "soft", "-nographic", "-m", "192", "-kernel", image, "-initrd", guest, "-append",
                           "console=ttyS0 quiet panic=-1", "-device", "i6300esb", "-device",
                           "virtio-tablet-pci", "-device", "virtio-keyboard-pci", "-device", "virtio-mouse-pci", "-action", "watchdog=poweroff", "-rtc",
                           "base=2031-05-06"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=300, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def main():
    with tempfile.TemporaryDirectory(prefix="devices-") as folder:
        guest = os.path.join(folder, "initramfs")
        try:
            image, _ = lab.kernel()
            lab.initramfs(guest, INIT, MODULES)
        except lab.Unavailable as why:
            return lab.skip_all(why)
        status, text = boot(image, guest)
    results = [
        ("the HPET counts", re.search(r"guest: clocks .*hpet", text)),
        ("the clock shows the date", "guest: year 2031" in text),
        ("the watchdog ends a guest that has fallen silent", "guest: watched" in text and "still there" not in text and status == 0),
        ("keyboard, mouse and tablet are found", all(f'input "hearth Virtio {kind}"' in text
                                                     for kind in ("Keyboard", "Mouse", "Tablet"))),
        ("the tablet has two axes", "B: ABS=3" in text),
        ("no complaint", "complaint:" not in text and "failed" not in text),
    ]
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if all(good for _, good in results):
        return 0
    for line in text.splitlines()[-60:]:
        print(f"# {line}")
    return 1


sys.exit(main())
