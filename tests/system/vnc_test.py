#!/usr/bin/env python3
"""-vnc: what viewers see and what their keys and pointers do, by a viewer of our own and by real ones; passwords, sharing,
WebSockets, addresses, errors. Hostile ones are in vnc_hostile_test.py."""
import os
import shutil
import struct
import subprocess
import tempfile
import time
import zlib

from hearth import HEARTH, PATIENCE, Failure, Machine, Skip, expect, image, main, wait_for
from remote import Remote, picture_read
import rfb

SPARK = ["-accel", "soft", "-fda", image("spark.img")]


class Screen(Machine):
    """hearth with -vnc at a free port."""

    def __init__(self, *arguments, vnc="", **options):
        super().__init__("-vnc", f"127.0.0.1:0,to=999{vnc}", *arguments, serial=False, **options)
        wait_for(lambda: "running on" in self.read() or self.process.poll() is not None, "the VNC server")
        expect("running on" in self.output, self.stderr())
        self.port = int(self.output.split("running on", 1)[1].split()[0].rsplit(":", 1)[1])

    def picture(self):
        path = os.path.join(self.folder, "picture.ppm")
        self.monitor.run(f"screendump {path}")
        return picture_read(path)


def spark(*arguments, **options):
    screen = Screen(*SPARK, *arguments, **options)
    screen.wait_screen("spark>")
    return screen


def same_picture(screen, viewer):
    """The screen's cursor blinks, so both are looked at until they agree."""
    def agrees():
        viewer.update()
        shown = screen.picture()
        viewer.update(incremental=False)
        return shown == (viewer.width, viewer.height, bytes(viewer.picture))
    wait_for(agrees, "the same picture in the viewer as in screendump")


def shows_what_screendump_shows():
    with spark("-name", "my guest") as screen, rfb.Viewer(screen.port) as viewer:
        expect(viewer.version == b"RFB 003.008\n" and viewer.security == b"\x01", f"{viewer.version} {viewer.security}")
        expect(viewer.name == "hearth (my guest)", viewer.name)
        expect((viewer.width, viewer.height) == (720, 400), f"{viewer.width}x{viewer.height}")
        expect(viewer.format[:10] == bytes([32, viewer.format[1], 0, 1, 0, 255, 0, 255, 0, 255]), str(viewer.format))
        expect(viewer.format[10:13] == bytes([16, 8, 0]), str(viewer.format))
        same_picture(screen, viewer)


def keys_arrive():
    with spark() as screen, rfb.Viewer(screen.port) as viewer:
        viewer.type("Abc~!_/\"'|\n")
        screen.wait_screen("spark> Abc~!_/\"'|")
        viewer.key(rfb.SHIFT, 1)
        viewer.type("DE:?")
        viewer.key(rfb.SHIFT, 0)
        viewer.press(0xff08)
        wait_for(lambda: screen.screen().endswith("spark> DE:"), "Backspace")
        viewer.press(rfb.RETURN)
        viewer.encodings(rfb.RAW, rfb.SIZE, rfb.EXTENDED_KEYS)
        viewer.request(False)
        while rfb.EXTENDED_KEYS not in [rectangle[0] for rectangle in viewer.seen]:
            viewer.message()
        for code in (0x23, 0x12, 0x26, 0x19, 0x1c):     # by their places: help, Enter
            viewer.scan_code(ord("x"), code)
        screen.wait_screen("poweroff")


def only_changes_are_sent():
    with spark() as screen, rfb.Viewer(screen.port) as viewer:
        viewer.update(incremental=False)
        viewer.pixels = 0
        viewer.type("Q")
        viewer.look_until(lambda: "spark> Q" in screen.screen(), "the letter")
        same = (9 * 16) * 12        # one letter, and the cursor here and there in some updates
        expect(0 < viewer.pixels <= same, f"{viewer.pixels} pixels for a letter")


def follows_the_size():
    with Remote(HEARTH, "-accel", "soft", "-vnc", "127.0.0.1:0,to=999", output=True) as guest:
        port = int(guest.wait_output("running on").split("running on", 1)[1].split()[0].rsplit(":", 1)[1])
        with rfb.Viewer(port) as viewer, rfb.Viewer(port, encodings=(rfb.RAW, rfb.SIZE, rfb.EXTENDED_SIZE)) as other:
            viewer.update(incremental=False)
            guest.video(0x13)
            guest.fill(0xa0000, 64000)
            for one in (viewer, other):
                one.look_until(lambda: (one.width, one.height, bytes(one.picture)) == guest.picture(), "mode 13h")
                expect((one.width, one.height) == (640, 400), "mode 13h's size")
            for index, value in ((4, 0), (1, 800), (2, 600), (3, 32), (4, 0x41)):
                guest.dispi(index, value)
            guest.fill(guest.pci(2, 0x10) & ~0xf, 800 * 600 * 4, 5)
            for one in (viewer, other):
                one.look_until(lambda: (one.width, one.height, bytes(one.picture)) == guest.picture(), "a linear mode")
                expect((one.width, one.height) == (800, 600), "a linear mode's size")


def pointer_moves():
    from pointer_test import Mouse
    with Remote(HEARTH, "-accel", "soft", "-vnc", "127.0.0.1:0,to=999", output=True) as guest:
        port = int(guest.wait_output("running on").split("running on", 1)[1].split()[0].rsplit(":", 1)[1])
        mouse = Mouse(guest)
        mouse.tell(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4)
        with rfb.Viewer(port) as viewer:
            viewer.pointer(100, 100)
            viewer.pointer(110, 97)
            expect(mouse.report(4) == [0x08, 10, 3, 0], "steps")
            viewer.pointer(110, 97, 1)
            expect(mouse.report(4) == [0x09, 0, 0, 0], "the left button")
            viewer.pointer(110, 97, 16)
            expect(mouse.report(4) == [0x08, 0, 0, 1], "the wheel")
            viewer.pointer(110, 97, 4)
            expect(mouse.report(4) == [0x0a, 0, 0, 0], "the right button")
        expect(mouse.report(4) == [0x08, 0, 0, 0], "the button of a viewer that is gone")
        with rfb.Viewer(port, encodings=(rfb.RAW, rfb.POINTER_CHANGE)) as viewer:
            viewer.request(False)
            while not any(rectangle[:2] == (rfb.POINTER_CHANGE, 0) for rectangle in viewer.seen):
                viewer.message()
            viewer.pointer(0x7fff - 4, 0x7fff + 2)
            expect(mouse.report(4) == [0x38, 0xfc, 0xfe, 0], "steps of a viewer that sends steps")


def clipboard_is_typed():
    with spark() as screen, rfb.Viewer(screen.port) as viewer:
        viewer.cut("Text from afar, 1+1=2;\nfree\n")
        time.sleep(0.1)
        expect("Text" not in screen.screen(), "the clipboard was typed without being asked for")
        viewer.press(rfb.CONTROL, rfb.ALT, ord("v"))
        screen.wait_screen("spark> Text from afar, 1+1=2;")
        screen.wait_screen("spark> free")


def passwords():
    with spark(vnc=",password=on") as screen:
        for password in ("", "secret"):     # none is set: nobody gets in
            refused(lambda: rfb.Viewer(screen.port, password=password))
        expect(screen.monitor.run("set_password vnc secret") == "", "set_password")
        for version in (b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n", b"RFB 003.889\n"):
            rfb.Viewer(screen.port, version=version, password="secret").close()
            refused(lambda: rfb.Viewer(screen.port, version=version, password="secreT"))
        viewer = rfb.connect(screen.port)       # a viewer that would rather have no password
        viewer.recv(12)
        viewer.sendall(b"RFB 003.008\n")
        expect(viewer.recv(2) == b"\x01\x02", "the list of security types")
        viewer.sendall(b"\x01\x01")
        expect(rfb.some(viewer, 1) == b"", "no password was asked for")
        expect(screen.monitor.run("change vnc password other") == "", "change vnc password")
        rfb.Viewer(screen.port, password="other").close()
        refused(lambda: rfb.Viewer(screen.port, password="secret"))
        with rfb.Viewer(screen.port, password="other") as viewer:
            viewer.update(incremental=False)
            expect("Client: 127.0.0.1:" in screen.monitor.run("info vnc"), screen.monitor.run("info vnc"))
    with spark() as screen:
        expect("password=on" in screen.monitor.run("set_password vnc x"), "a password that nobody asks for")


def refused(connect):
    try:
        connect().close()
    except Failure:
        return
    raise Failure("let in with a wrong password")


def versions():
    with spark() as screen:
        for version in (b"RFB 003.003\n", b"RFB 003.005\n", b"RFB 003.007\n"):
            with rfb.Viewer(screen.port, version=version) as viewer:
                viewer.update(incremental=False)


def ended(viewer):
    def gone():
        try:
            viewer.update(incremental=False)
        except rfb.Ended:
            return True
        return False
    wait_for(gone, "the end of a viewer's connection")


def sharing():
    with spark() as screen:
        first, second = rfb.Viewer(screen.port), rfb.Viewer(screen.port)
        first.update(incremental=False)
        second.update(incremental=False)
        alone = rfb.Viewer(screen.port, shared=0)
        ended(first)
        ended(second)
        refused(lambda: rfb.Viewer(screen.port))
        alone.update(incremental=False)
        alone.close()
    with spark(vnc=",share=force-shared") as screen:
        first = rfb.Viewer(screen.port)
        refused(lambda: rfb.Viewer(screen.port, shared=0))
        first.update(incremental=False)
        first.close()
    with spark(vnc=",share=ignore") as screen:
        first, alone = rfb.Viewer(screen.port), rfb.Viewer(screen.port, shared=0)
        first.update(incremental=False)
        alone.update(incremental=False)
        first.close()
        alone.close()


def websocket():
    free = rfb.socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with spark(vnc=f",websocket={port}") as screen:
        host = f"127.0.0.1:{port}"
        with rfb.Viewer(port, websocket={"host": host}) as viewer:
            same_picture(screen, viewer)
            viewer.type("over a web socket\n")
            screen.wait_screen("spark> over a web socket")
        for refused_port, options in ((port, {}), (screen.port, {"websocket": {"host": host}})):
            try:    # each port speaks one language
                rfb.Viewer(refused_port, **options)
                raise Failure(f"port {refused_port} took {options}")
            except rfb.Ended:
                pass


def unix_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "screen")
        with Machine(*SPARK, "-vnc", f"unix:{path}", serial=False) as machine:
            machine.wait_screen("spark>")
            with rfb.Viewer(path) as viewer:
                viewer.update(incremental=False)
                expect((viewer.width, viewer.height) == (720, 400), "the size")
        expect(not os.path.exists(path), "the socket is left behind")


def wrong_addresses():
    busy = rfb.socket.create_server(("127.0.0.1", 0))
    number = busy.getsockname()[1] - 5900
    cases = [("foo", "no vnc port specified"), (":200000", "port 200000 out of range"),
             ("127.0.0.1:x", "can't convert to a number: x"), ("127.0.0.1:-1", "can't convert to a number: -1"),
             ("127.0.0.1:1,bogus=1", "Invalid parameter 'bogus'"), ("127.0.0.1:1,share=x", "unknown vnc share= option"),
             (f"127.0.0.1:{number}", "Failed to find an available port: Address already in use"),
             ("unix:/nonexistent/x", "Failed to bind socket to /nonexistent/x: No such file or directory"),
             ("999.1.1.1:1", "address resolution failed for 999.1.1.1:5901")]
    for address, text in cases:
        done = subprocess.run([HEARTH, "-accel", "soft", "-vnc", address], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        error = done.stderr.decode()
        expect(done.returncode == 1 and f"-vnc {address}: {text}" in error, f"{address}: {done.returncode} {error}")
    busy.close()


def open_to_everybody_is_said():
    with Machine("-accel", "soft", "-S", "-vnc", ":7099", serial=False) as machine:
        wait_for(lambda: machine.monitor.run("info vnc"), "the monitor")
        expect("password=on" in machine.stderr() or "in use" in machine.stderr(), machine.stderr())
    with Machine("-accel", "soft", "-S", "-vnc", "none", serial=False) as machine:
        expect("no VNC server" in machine.monitor.run("info vnc"), "-vnc none")


# ---- real viewers

def png_read(path):
    """(width, height, RGB bytes) of a PNG with 8 bits a sample; by the PNG specification's filters."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    samples = {2: 3, 6: 4}[color]
    expect(depth == 8, f"{depth} bits")
    rows, stride, before, pixels = zlib.decompress(packed), width * samples, bytes(width * samples), bytearray()
    for y in range(height):
        line = rows[y * (stride + 1):(y + 1) * (stride + 1)]
        before = unfilter(line[0], line[1:], before, samples)
        for at in range(0, stride, samples):
            pixels += before[at:at + 3]
    return width, height, bytes(pixels)


def unfilter(kind, line, above, samples):
    if kind == 0:
        return line
    row = bytearray(line)
    for i, value in enumerate(row):
        left = row[i - samples] if i >= samples else 0
        up, corner = above[i], above[i - samples] if i >= samples else 0
        estimate = left + up - corner
        nearest = min((left, up, corner), key=lambda one: abs(estimate - one))
        row[i] = value + {1: left, 2: up, 3: (left + up) // 2, 4: nearest}[kind] & 0xff
    return bytes(row)


def need(program):
    if not shutil.which(program):
        raise Skip(f"no {program} here")


def gvnccapture():
    need("gvnccapture")
    with spark() as screen:
        path = os.path.join(screen.folder, "captured.png")

        def same():
            subprocess.run(["gvnccapture", "-q", f"127.0.0.1:{screen.port - 5900}", path], timeout=PATIENCE, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return png_read(path) == screen.picture()
        wait_for(same, "the same picture in gvnccapture's file as in screendump's")


def vncsnapshot():
    need("vncsnapshot")
    need("djpeg")
    with spark() as screen:
        path = os.path.join(screen.folder, "shot.jpg")

        def same():
            subprocess.run(["vncsnapshot", "-quiet", "-quality", "100", f"127.0.0.1:{screen.port - 5900}", path],
                           timeout=PATIENCE, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run(["djpeg", "-pnm", "-outfile", path + ".ppm", path], check=True)
            width, height, pixels = picture_read(path + ".ppm")
            wanted = screen.picture()
            expect((width, height) == wanted[:2], f"{width}x{height}")
            off = sum(abs(a - b) > 40 for a, b in zip(pixels, wanted[2]))
            return off < len(pixels) // 500     # JPEG
        wait_for(same, "about the same picture in vncsnapshot's file as in screendump's")


def tigervnc():
    """Typed into a real window."""
    for program in ("xtigervncviewer", "Xvfb", "xdotool"):
        need(program)
    with spark() as screen:
        reader, writer = os.pipe()
        server = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
                                  pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writer)
        number = b""
        while not number.endswith(b"\n"):
            piece = os.read(reader, 16)
            expect(piece, "Xvfb does not start")
            number += piece
        os.close(reader)
        environment = dict(os.environ, DISPLAY=f":{number.decode().strip()}", HOME=screen.folder)
        viewer = subprocess.Popen(["xtigervncviewer", "-Shared", f"127.0.0.1::{screen.port}"], env=environment,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: "Client:" in screen.monitor.run("info vnc"), "the viewer")

            def types():
                subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "hearth", "windowfocus"], env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                subprocess.run(["xdotool", "type", "--delay", "30", "Tiger!"], env=environment)
                return "Tiger!" in screen.screen()
            wait_for(types, "what was typed into the viewer's window")
        finally:
            for process in (viewer, server):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main([(function.__name__.replace("_", " "), function) for function in
          (shows_what_screendump_shows, keys_arrive, only_changes_are_sent, follows_the_size, pointer_moves,
           clipboard_is_typed, passwords, versions, sharing, websocket, unix_socket, wrong_addresses,
           open_to_everybody_is_said, gvnccapture, vncsnapshot, tigervnc)])
