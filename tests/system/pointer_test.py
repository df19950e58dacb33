#!/usr/bin/env python3
"""The mouse as a guest has it on its ports, moved by the monitor's mouse_move and mouse_button, beside QEMU's."""
from hearth import expect, main, wait_for
import remote

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
    main([test_in_hearth, test_the_same_in_qemu])
