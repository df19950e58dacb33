#!/usr/bin/env python3
"""Network cards under Debian's kernel on the software CPU, joined to the user network: an address, ping, a large file down
and up with its checksum compared, a forwarded port, the cable pulled. It shares the lab's kernel package."""
import hashlib
import os
import re
import socket
import sys
import tempfile
import threading

import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "system"))
import hearth  # noqa: E402

MEGABYTES = 8
CARDS = {"e1000": ["e1000"], "virtio-net-pci": ["virtio_pci", "virtio_net"]}
INIT = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /bin /tmp
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
while read -r name; do insmod /modules/$name.ko; done </modules/order
port=$(sed 's/.*port=\([0-9]*\).*/\1/' /proc/cmdline)
cat >/script <<'S'
#!/bin/sh
[ "$1" = bound ] || exit 0
ifconfig $interface $ip netmask $subnet
route add default gw $router
echo "guest: $interface has $ip, router $router, dns $dns"
S
chmod +x /script
ifconfig eth0 up
udhcpc -s /script -i eth0 -n -q -t 10 2>/dev/null
ping -c 2 10.0.2.2 | grep received | sed 's/^/guest: /'
echo "guest: driver $(basename $(readlink /sys/class/net/eth0/device/driver))"
nc 10.0.2.2 $port </dev/null | sha256sum | sed 's/^/guest: down /'
dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\0' 'u' | nc 10.0.2.2 $port >/dev/null
echo "guest: up"
echo "guest: listens"
echo "from the guest" | nc -l -p 23 >/tmp/in
echo "guest: heard $(cat /tmp/in)"
while [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do usleep 100000; done
echo "guest: cable out"
while [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do usleep 100000; done
echo "guest: cable in"
ping -c 1 10.0.2.2 | grep received | sed 's/^/guest: again /'
dmesg | grep -E "BUG:|WARNING:|Oops:|Detected Tx Unit Hang" | sed 's/^/complaint: /'
echo "guest: done"
poweroff -f
"""


class Server:
    """The first that connects gets the data, of the second what it sends is summed."""

    def __init__(self, data):
        self.data, self.sum, self.size = data, hashlib.sha256(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        first, _ = self.listener.accept()
        first.sendall(self.data)
        first.close()
        second, _ = self.listener.accept()
        while piece := second.recv(65536):
            self.sum.update(piece)
            self.size += len(piece)
        second.close()


def forwarded_port(monitor):
    found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", monitor.run("info usernet"))
    hearth.expect(found, "info usernet shows the forwarded port")
    return int(found.group(1))


def converse(port):
    """The guest may be about to listen, no more: then the connection is reset."""
    try:
        with socket.create_connection(("127.0.0.1", port), hearth.PATIENCE) as client:
            client.sendall(b"from the host\n")
            return client.makefile().readline()
    except OSError:
        return None


def check(card, image, guest):
    server = Server(os.urandom(1 << 20) * MEGABYTES)
    arguments = ["-accel", "soft", "-m", "256", "-no-reboot", "-kernel", image, "-initrd", guest, "-append",
                 f"console=ttyS0 quiet panic=-1 port={server.port}", "-netdev", "user,id=n0,hostfwd=tcp:127.0.0.1:0-:23",
                 "-device", f"{card},netdev=n0,id=nic0"]
    with hearth.Machine(*arguments) as machine:
        machine.wait_serial("guest: eth0 has 10.0.2.15, router 10.0.2.2, dns 10.0.2.3")
        machine.wait_serial("guest: 2 packets transmitted, 2 packets received")
        network = machine.monitor.run("info network")
        hearth.expect("macaddr=52:54:00:12:34:56" in network and "n0: index=0,type=user,net=10.0.2.0,restrict=off" in network,
                      f"info network names both ends, but says {network}")
        machine.wait_serial("guest: down ")
        machine.wait_serial("guest: up")
        down = re.search(r"guest: down ([0-9a-f]{64})", machine.read())
        hearth.expect(down and down.group(1) == hashlib.sha256(server.data).hexdigest(), "what came down is what was sent")
        hearth.wait_for(lambda: server.size == 1 << 20, "all that the guest sends")
        hearth.expect(server.sum.hexdigest() == hashlib.sha256(b"u" * (1 << 20)).hexdigest(), "and what went up arrived")
        machine.wait_serial("guest: listens")
        port = forwarded_port(machine.monitor)
        hearth.wait_for(lambda: converse(port) == "from the guest\n", "the guest's answer on the forwarded port")
        machine.wait_serial("guest: heard from the host")
        machine.monitor.run("set_link nic0 off")
        machine.wait_serial("guest: cable out")
        machine.monitor.run("set_link n0 on")
        machine.wait_serial("guest: cable in")
        machine.wait_serial("guest: again 1 packets transmitted, 1 packets received")
        machine.wait_serial("guest: done")
        hearth.expect("complaint:" not in machine.read(), "no complaint in the kernel's log")
        hearth.expect(machine.wait_end() == 0, "status 0")


def main():
    with tempfile.TemporaryDirectory(prefix="network-") as folder:
        try:
            image, _ = lab.kernel()
            for card, modules in CARDS.items():
                lab.initramfs(os.path.join(folder, card), INIT, modules)
        except lab.Unavailable as why:
            return lab.skip_all(why)
        hearth.main([(f"{card} under Linux", lambda card=card: check(card, image, os.path.join(folder, card)))
                     for card in CARDS])
    return 0


sys.exit(main())
