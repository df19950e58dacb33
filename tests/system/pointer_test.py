#!/usr/bin/env python3
"""The mouse as a guest has it on its ports, moved by the monitor's mouse_move and mouse_button, and the absolute pointer
behind the backdoor, moved by a VNC viewer; beside QEMU's."""
from hearth import expect, main, wait_for
import remote
import rfb

DATA, STATUS = 0x60, 0x64
FULL, AUXILIARY = 0x01, 0x20


class Mouse:
    def __init__(self, guest):
        self.guest = guest
        guest.out(STATUS, 0x60)
        guest.out(DATA, 0x47)       # no interrupts are taken: the guest runs with them off

    def read(self):
        """The next byte of the mouse."""
        wait_for(lambda: self.guest.into(STATUS) & FULL, "a byte")
        expect(self.guest.into(STATUS) & AUXILIARY, "the byte is the keyboard's")
        return self.guest.into(DATA)

    def tell(self, *values):
        for value in values:
            self.guest.out(STATUS, 0xd4)
            self.guest.out(DATA, value)
            expect(self.read() == 0xfa, f"{value:x}h is not acknowledged")

    def report(self, length):
        return [self.read() for _ in range(length)]


def check(guest):
    mouse = Mouse(guest)
    mouse.tell(0xff)
    expect(mouse.report(2) == [0xaa, 0], "the self test")
    mouse.tell(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2)
    expect(mouse.read() == 3, "the id of a mouse with a wheel")
    mouse.tell(0xf4)
    for command, wanted in (("mouse_move 5 -3", [0x08, 5, 3, 0]), ("mouse_button 1", [0x09, 0, 0, 0]),
                            ("mouse_move -2 4", [0x39, 0xfe, 0xfc, 0]), ("mouse_button 6", [0x0e, 0, 0, 0]),
                            ("mouse_button 0", [0x08, 0, 0, 0]), ("mouse_move 0 0 1", [0x08, 0, 0, 0xff])):
        said = guest.monitor.run(command)
        expect(not said, f"{command}: {said}")
        got = mouse.report(4)
        expect(got == wanted, f"{command}: {got}, not {wanted}")


MAGIC, VERSION, DATA_READ, STATUS_READ, COMMAND = 0x564d5868, 10, 39, 40, 41


def check_backdoor(guest, port):
    """What Linux's vmmouse driver does."""
    def call(command, argument):
        return guest.backdoor(MAGIC, argument, command)
    version, magic, _, _ = call(VERSION, 0)
    expect((version, magic) == (6, MAGIC), f"version {version}, {magic:x}h")
    expect(guest.backdoor(MAGIC + 1, 5, VERSION)[1:3] == (5, VERSION), "without the magic number nothing happens")
    mouse = Mouse(guest)
    mouse.tell(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4)
    call(COMMAND, 0x45414552)
    expect(call(STATUS_READ, 0)[0] & 0xffff == 1, "a word waits")
    expect(call(DATA_READ, 1)[0] == 0x3442554a, "the pointer's id")
    call(COMMAND, 0x53424152)

    def packet(buttons, x, y, wheel=0):
        wait_for(lambda: call(STATUS_READ, 0)[0] & 0xffff >= 4, "a packet")
        got = call(DATA_READ, 4)
        expect(got[0] & 0xffff == buttons and abs(got[1] - x) < 200 and abs(got[2] - y) < 200 and got[3] == wheel,
               f"{[hex(word) for word in got]}, not {buttons:x} {x:x} {y:x} {wheel}")
    with rfb.Viewer(port) as viewer:
        viewer.pointer(180, 300)
        packet(0, 180 * 65535 // 719, 300 * 65535 // 399)
        viewer.pointer(719, 0, 1)
        packet(0x20, 65535, 0)
        viewer.pointer(719, 0, 0)
        packet(0, 65535, 0)
    expect(guest.into(STATUS) & (FULL | AUXILIARY) == FULL | AUXILIARY, "the mouse has not reported")


def test_backdoor_in_hearth():
    with remote.hearth("-vnc", "127.0.0.1:0,to=999", output=True) as guest:
        check_backdoor(guest, vnc_port(guest))
    with remote.hearth("-machine", "pc,vmport=off") as guest:
        expect(guest.backdoor(MAGIC, 5, VERSION)[:2] == (0xffffffff, 5), "vmport=off")


def test_the_same_backdoor_in_qemu():
    remote.need_qemu()
    with rfb.socket.create_server(("127.0.0.1", 0)) as free:    # QEMU does not flush what it says of the port
        port = free.getsockname()[1]
    with remote.qemu("-vnc", f"127.0.0.1:{port - 5900}") as guest:
        check_backdoor(guest, port)


def vnc_port(guest):
    return int(guest.wait_output("running on").split("running on", 1)[1].split()[0].rsplit(":", 1)[1])


def test_in_hearth():
    with remote.hearth() as guest:
        check(guest)
        expect("is no number" in guest.monitor.run("mouse_move 1 x"), "an error")
        expect("expected" in guest.monitor.run("mouse_move 1"), "an error")


def test_the_same_in_qemu():
    remote.need_qemu()
    with remote.qemu() as guest:
        check(guest)


if __name__ == "__main__":
    main([test_in_hearth, test_the_same_in_qemu, test_backdoor_in_hearth, test_the_same_backdoor_in_qemu])
