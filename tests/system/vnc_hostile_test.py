#!/usr/bin/env python3
"""Viewers that break the protocol, stall or flood: each hurts only itself. After each one the monitor answers, a viewer that
behaves sees what changes, and hearth has neither grown nor more threads than viewers."""
import os
import random
import struct
import time

from hearth import HEARTH, Failure, expect, main, wait_for
from remote import Remote
import rfb

MEMORY_MOST = 400 << 10     # KiB: thirty-two viewers' pictures and their send buffers
VIEWERS_MOST = 32


class Target:
    """A guest whose screen changes when it is told to, and somebody who watches it."""

    def __init__(self):
        self.guest = Remote(HEARTH, "-accel", "soft", "-vnc", "127.0.0.1:0,to=999", output=True)
        said = self.guest.wait_output("running on")
        self.port = int(said.split("running on", 1)[1].split()[0].rsplit(":", 1)[1])
        self.count = 0
        self.watcher = rfb.Viewer(self.port)
        self.watcher.update(incremental=False)

    def status(self, name):
        with open(f"/proc/{self.guest.process.pid}/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith(name)).split()[1])

    def paint(self):
        self.count += 1
        self.guest.fill(0xb8000, 4000, self.count)

    def check(self):
        expect("running" in self.guest.monitor.run("info status"), "the monitor")
        before = bytes(self.watcher.picture)
        self.paint()
        self.watcher.look_until(lambda: bytes(self.watcher.picture) != before, "what changes")
        expect(self.status("VmRSS:") < MEMORY_MOST, f"{self.status('VmRSS:')} KiB")
        wait_for(lambda: self.status("Threads:") < 2 * VIEWERS_MOST + 8, "threads to end")

    def greet(self):
        """A connection that is past its greeting."""
        return rfb.Viewer(self.port, encodings=())


def swallow(viewer, limit=2.0):
    """Reads whatever comes until the server closes; answers whether it has."""
    viewer.settimeout(limit)
    try:
        while rfb.some(viewer, 65536):
            pass
        return True
    except TimeoutError:
        return False


def bytes_at_the_door(target):
    """What may come before the greeting is over, cut off everywhere."""
    whole = b"RFB 003.008\n\x01\x01"
    pieces = [whole[:length] for length in range(len(whole))]
    pieces += [b"RFB 004.000\n", b"RFB 003.002\n", b"RFB 999.999\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00",
               b"\x80" * 100, b"\0" * 100, b"RFB 003.008\n\x02", b"RFB 003.008\n\xff", b"RFB 003.008\n\0", b"RFB -03.008\n",
               b"RFB 003.00\xff\n"]
    for piece in pieces:
        viewer = rfb.connect(target.port)
        viewer.sendall(piece)
        viewer.shutdown(rfb.socket.SHUT_WR)
        expect(swallow(viewer, 15), f"{piece} is not closed")
        viewer.close()


def wrong_pixel_formats(target):
    for bits, depth, true_color, most, shift in ((0, 0, 1, 255, 0), (7, 8, 1, 7, 0), (8, 255, 1, 7, 255), (32, 24, 1, 0, 0),
                                                 (32, 24, 1, 65535, 255), (255, 255, 1, 255, 31), (8, 8, 0, 0, 0),
                                                 (16, 16, 0, 0, 0), (24, 24, 1, 255, 200)):
        viewer = target.greet()
        form = struct.pack(">BBBBHHHBBBxxx", bits, depth, 0, true_color, most, most, most, shift, shift, shift)
        viewer.send(b"\0\0\0\0" + form)
        viewer.request(False)
        swallow(viewer.socket, 0.3)
        viewer.close()


def encodings(target):
    for count, sent in ((0, 0), (65535, 65535), (65535, 10)):
        viewer = target.greet()
        viewer.send(struct.pack(">BxH", 2, count) + os.urandom(4 * sent))
        viewer.request(False)
        swallow(viewer.socket, 0.5)
        viewer.close()
    for encoding in (0, 1, 2, 4, 5, 6, 7, 8, 9, 15, 16, 17, -223, -224, -239, -240, -257, -258, -260, -305, -307, -308,
                     0xc0a1e5ce - (1 << 32), *range(-32, 0), *range(-256, -246)):
        viewer = target.greet()
        viewer.encodings(encoding, encoding, 0)
        viewer.request(False)
        swallow(viewer.socket, 0.05)
        viewer.close()


def clipboards(target):
    for length in (0xffffffff, 0x80000000, 0x7fffffff, 1 << 21, 1000):
        viewer = target.greet()
        viewer.send(struct.pack(">BxxxI", 6, length) + b"x" * 1000)
        viewer.encodings(0)
        swallow(viewer.socket, 0.3)
        viewer.close()
    viewer = target.greet()     # the extended clipboard: negative lengths, and what does not unpack
    viewer.encodings(0xc0a1e5ce - (1 << 32), 0)
    for flags in (1 << 24 | 1, 1 << 28 | 1, 1 << 27, 1 << 25, 0xffffffff):
        body = struct.pack(">I", flags) + os.urandom(60)
        viewer.send(struct.pack(">BxxxI", 6, (1 << 32) - len(body)) + body)
    swallow(viewer.socket, 0.3)
    viewer.close()


def huge_requests(target):
    viewer = target.greet()
    for rectangle in ((0, 0, 65535, 65535), (65535, 65535, 65535, 65535), (719, 399, 1, 1), (0, 0, 0, 0), (800, 0, 5, 5)):
        for _ in range(200):
            viewer.send(struct.pack(">BBHHHH", 3, 0, *rectangle))
    swallow(viewer.socket, 0.5)
    viewer.close()


def other_messages(target):
    """Scaling, file transfer, chat, desktop sizes, QEMU's: also cut off, also with lengths that lie."""
    bodies = [bytes([8, 1, 0, 0]), bytes([8, 255, 0, 0]), bytes([8, 0, 0, 0]), bytes([15, 3, 0, 0]), bytes([15, 0, 0, 0]),
              struct.pack(">BBHII", 7, 1, 0, 0xffffffff, 0xffffffff), struct.pack(">BBHII", 7, 7, 3, 8, 4) + b"/etc",
              struct.pack(">BxxxI", 11, 0xffffffff), struct.pack(">BxxxI", 11, 0x7fffffff), struct.pack(">BBHH", 10, 1, 5, 5),
              struct.pack(">BxHHBx", 251, 65535, 65535, 0), struct.pack(">BxHHBx", 251, 1, 1, 255) + b"\xff" * 16 * 255,
              struct.pack(">BBHII", 255, 0, 1, 0x61, 0xffffffff), struct.pack(">BBHII", 255, 9, 1, 0x61, 0),
              bytes([250, 0, 1, 2]), bytes([250, 0, 9, 9]), bytes([1]) + bytes(100), bytes([99]), bytes([5, 255]) + b"\xff" * 4,
              struct.pack(">BBxxI", 4, 255, 0xffffffff)]
    for body in bodies:
        for cut in (len(body), len(body) // 2):
            viewer = target.greet()
            viewer.send(body[:cut])
            viewer.request(False)
            swallow(viewer.socket, 0.1)
            viewer.close()


def random_messages(target):
    chance = random.Random(5)
    for _ in range(60):
        viewer = target.greet()
        try:
            for _ in range(chance.randrange(1, 40)):
                kind = chance.choice((0, 2, 3, 4, 5, 6, 8, 251, 255, chance.randrange(256)))
                viewer.send(bytes([kind]) + chance.randbytes(chance.randrange(30)))
        except OSError:
            pass
        viewer.close()


def floods(target):
    viewer = target.greet()
    for _ in range(20):
        viewer.send(struct.pack(">BBxxI", 4, 1, 0x61) * 2000 + struct.pack(">BBHH", 5, 1, 3, 3) * 2000)
    target.check()
    viewer.close()


def who_does_not_read(target):
    """Asks for ever more and takes nothing, while the screen changes."""
    stuck = [target.greet() for _ in range(3)]
    for viewer in stuck:
        viewer.socket.settimeout(0.2)
    for _ in range(20):
        target.paint()
        for viewer in stuck:
            try:
                viewer.send(struct.pack(">BBHHHH", 3, 0, 0, 0, 720, 400) * 50)
            except OSError:
                pass
    target.check()
    for viewer in stuck:
        viewer.close()


def who_says_nothing(target):
    """More than there is room for: the newcomers take the places of those that have been silent longest."""
    silent = [rfb.connect(target.port) for _ in range(200)]
    target.check()
    with rfb.Viewer(target.port) as viewer:
        viewer.update(incremental=False)
    expect(target.status("Threads:") < 2 * VIEWERS_MOST + 8, f"{target.status('Threads:')} threads")
    for viewer in silent:
        viewer.close()


def who_talks_slowly(target):
    """A byte now and then."""
    slow = [rfb.connect(target.port) for _ in range(5)]
    for byte in b"RFB 003":
        for viewer in slow:
            viewer.sendall(bytes([byte]))
        time.sleep(0.05)
        target.check()
    half = target.greet()
    half.send(b"\x03")
    target.check()
    half.close()
    for viewer in slow:
        viewer.close()


def too_many_viewers(target):
    viewers = []
    try:
        for _ in range(VIEWERS_MOST + 10):
            viewers.append(rfb.Viewer(target.port))
    except Failure:
        pass
    expect(len(viewers) == VIEWERS_MOST - 1, f"{len(viewers)} and the one that watches")
    for viewer in viewers:
        viewer.update(incremental=False)
        viewer.close()


def thousands_of_connects(target):
    for _ in range(2000):
        rfb.connect(target.port).close()


def mode_changes_under_a_viewer(target):
    """The size changes faster than anybody can follow (hostile as the guest can be here)."""
    guest, viewers = target.guest, [rfb.Viewer(target.port, encodings=(5, 16, 7, rfb.SIZE)) for _ in range(4)]
    for width, height, depth in ((640, 480, 32), (8, 1, 8), (1600, 1200, 32), (0, 0, 0), (65535, 65535, 32), (320, 200, 15)):
        for index, value in ((4, 0), (1, width), (2, height), (3, depth), (4, 0x41)):
            guest.dispi(index, value)
        for viewer in viewers:
            viewer.request(False)
        time.sleep(0.05)
    guest.video(3)
    for viewer in viewers:
        swallow(viewer.socket, 0.2)
        viewer.close()


ATTACKS = (bytes_at_the_door, wrong_pixel_formats, encodings, clipboards, huge_requests, other_messages, random_messages, floods,
           who_does_not_read, who_says_nothing, who_talks_slowly, too_many_viewers, thousands_of_connects,
           mode_changes_under_a_viewer)


def run():
    target = Target()

    def attack(function):
        def test():
            function(target)
            target.check()
        return function.__name__.replace("_", " "), test

    def ends_with_viewers():
        """In the middle of everything."""
        viewers = [rfb.connect(target.port) for _ in range(5)] + [target.greet() for _ in range(5)]
        target.guest.process.terminate()
        expect(target.guest.process.wait(30) == 0, target.guest.stderr())
        for viewer in viewers:
            viewer.close()
    try:
        main([attack(function) for function in ATTACKS] + [("ends with viewers", ends_with_viewers)])
    finally:
        target.guest.stop()


if __name__ == "__main__":
    run()
