#!/usr/bin/env python3
"""The VGA's pictures beside QEMU's, pixel by pixel: one guest each, the same registers and the same noise in the same
memory. Where QEMU is known to draw otherwise than a VGA, the test keeps away from it (panning, blinking, 40 columns of 9
dots, the ninth dot of B0h-BFh, the part of a row below the last whole one) or masks it out (how it widens a palette's 6
bits and a pixel's 5 bits to 8); vga_test.c looks at those."""
from hearth import Failure, expect, main
import remote

TEXT, WINDOW, SCRATCH = 0xb8000, 0xa0000, 0x20000
HIDDEN_CURSOR = 0x2000


def text(guest, columns=80, rows=25):
    guest.video(0x0100, cx=HIDDEN_CURSOR)
    block = bytes(value for cell in range(256) for value in (cell if cell & 0xf0 != 0xb0 else 0, cell * 7 & 0x7f))
    guest.store(SCRATCH, block)
    for at in range(0, columns * rows * 2, len(block)):
        guest.copy(SCRATCH, TEXT + at, min(len(block), columns * rows * 2 - at))


def mode(number, fill=None, base=WINDOW, seed=1):
    def run(guest):
        guest.video(number)
        if fill:
            guest.fill(base, fill, seed)
    return run


def planar(number, size):
    def run(guest):
        guest.video(number)
        for plane in range(4):
            guest.register(0x3c4, 2, 1 << plane)
            guest.fill(WINDOW, size, plane + 1)
    return run


def text_mode(number):
    def run(guest):
        guest.video(number)
        text(guest)
    return run


def text_lines(rows, font):
    """As many rows as fit with another font."""
    def run(guest):
        guest.video(3)
        guest.video(0x1100 | font)
        text(guest, 80, rows)
    return run


def eight_dots(guest):
    guest.out(0x3c4, 1)
    guest.out(0x3c5, guest.into(0x3c5) | 1)


def narrow(guest):
    guest.video(3)
    text(guest)
    eight_dots(guest)


def forty_columns(guest):
    guest.video(1)
    text(guest, 40)
    eight_dots(guest)


def loaded_font(guest):
    guest.video(3)
    guest.video(0x1100, bx=0x1000, cx=0)
    text(guest)
    # the font of bank 1, in plane 2
    for index, value in ((2, 4), (4, 7)):
        guest.register(0x3c4, index, value)
    for index, value in ((4, 2), (5, 0), (6, 0)):
        guest.register(0x3ce, index, value)
    guest.fill(WINDOW + 0x4000, 0x2000, 9)
    for index, value in ((2, 3), (4, 2)):
        guest.register(0x3c4, index, value)
    for index, value in ((4, 0), (5, 0x10), (6, 0x0e)):
        guest.register(0x3ce, index, value)
    guest.register(0x3c4, 3, 0x04)      # attribute bit 3: bank 1


def mode_x(guest):
    guest.video(0x13)
    guest.register(0x3c4, 4, 6)         # chain 4 off
    guest.register(0x3d4, 0x14, 0)      # byte addresses
    guest.register(0x3d4, 0x17, 0xe3)
    for plane in range(4):
        guest.register(0x3c4, 2, 1 << plane)
        guest.fill(WINDOW, 0x10000, plane + 11)
    guest.register(0x3d4, 0x0d, 40)     # a start address, and a row longer than the screen
    guest.register(0x3d4, 0x13, 60)


def split(guest):
    planar(0x0d, 0x10000)(guest)
    guest.register(0x3d4, 0x0c, 0x10)
    guest.register(0x3d4, 0x18, 199)
    guest.register(0x3d4, 0x07, 0x0f)   # line compare bit 8: 0
    guest.register(0x3d4, 0x09, guest_read(guest, 0x3d4, 9) & ~0x40)


def guest_read(guest, port, index):
    guest.out(port, index)
    return guest.into(port + 1)


def palette(guest):
    guest.video(0x13)
    guest.out(0x3c8, 0)
    guest.out_string(0x3c9, bytes(value * 5 & 0x3f for value in range(768)))
    guest.store(WINDOW, bytes(range(256)))


def dispi(width, height, depth, virtual=None, x=0, y=0):
    def run(guest):
        guest.video(3)
        frame_buffer = guest.pci(2, 0x10) & ~0xf
        for index, value in ((4, 0), (1, width), (2, height), (3, depth), (4, 0x41)):
            guest.dispi(index, value)
        if virtual:
            guest.dispi(6, virtual)
        guest.dispi(8, x)
        guest.dispi(9, y)
        guest.fill(frame_buffer, (virtual or width) * (height + y) * ((depth + 7) // 8), depth)
    return run


def dispi_back(guest):
    """Text again after a linear mode, as the BIOS does it."""
    dispi(640, 480, 32)(guest)
    guest.video(3)
    text(guest)


def vesa(number, size):
    def run(guest):
        expect(guest.video(0x4f02, bx=0x4000 | number) == 0x004f, f"VESA mode {number:x}h")
        guest.fill(guest.pci(2, 0x10) & ~0xf, size, number)
    return run


def vesa_banks(guest):
    expect(guest.video(0x4f02, bx=0x101) == 0x004f, "VESA mode 101h")
    for bank in range(5):
        expect(guest.video(0x4f05, bx=0, dx=bank) == 0x004f, "a bank")
        guest.fill(WINDOW, 0x10000 if bank < 4 else 640 * 480 - 0x40000, bank + 21)


CASES = [
    ("80x25 text", text_mode(3)),
    ("40x25 text of 8 dots", forty_columns),
    ("text of 8 dots", narrow),
    ("text of 50 rows", text_lines(50, 0x12)),
    ("text of 28 rows", text_lines(28, 0x11)),
    ("a second font", loaded_font),
    ("mode 4", mode(4, 0x4000, TEXT)),
    ("mode 5", mode(5, 0x4000, TEXT)),
    ("mode 6", mode(6, 0x4000, TEXT)),
    ("mode 0Dh", planar(0x0d, 8000)),
    ("mode 0Eh", planar(0x0e, 16000)),
    ("mode 10h", planar(0x10, 28000)),
    ("mode 11h", mode(0x11, 38400)),
    ("mode 12h", planar(0x12, 38400)),
    ("mode 13h", mode(0x13, 64000)),
    ("mode X", mode_x),
    ("split screen", split),
    ("a palette", palette),
    ("640x480x8", dispi(640, 480, 8)),
    ("800x600x15", dispi(800, 600, 15)),
    ("800x600x16", dispi(800, 600, 16)),
    ("640x480x24", dispi(640, 480, 24)),
    ("1024x768x32", dispi(1024, 768, 32)),
    ("a wide virtual screen, moved", dispi(640, 400, 32, virtual=1000, x=40, y=17)),
    ("VESA 115h", vesa(0x115, 800 * 600 * 3)),
    ("VESA 118h by its frame buffer", vesa(0x118, 1024 * 768 * 4)),
    ("VESA 101h by banks", vesa_banks),
    ("back to text", dispi_back),
]
MASKS = {"x15": 0xf8, "x16": 0xff, "x24": 0xff, "x32": 0xff, "virtual": 0xff, "VESA 11": 0xff}


def compare(name, ours, theirs):
    mask = next((mask for part, mask in MASKS.items() if part in name), 0xfc)
    table = bytes(value & mask for value in range(256))
    width, height = ours[0], min(ours[1], theirs[1])
    expect(width == theirs[0] and ours[1] - 16 < theirs[1] <= ours[1], f"{ours[:2]}, in QEMU {theirs[:2]}")
    mine, other = (shown[2][:width * height * 3].translate(table) for shown in (ours, theirs))
    if mine == other:
        return
    wrong = [i // 3 for i in range(0, len(mine), 3) if mine[i:i + 3] != other[i:i + 3]]
    at = wrong[0]
    raise Failure(f"{len(wrong)} pixels differ, the first at {at % width},{at // width}: "
                  f"{mine[at * 3:at * 3 + 3].hex()}, in QEMU {other[at * 3:at * 3 + 3].hex()}")


def run():
    if not remote.QEMU:
        print("ok 1 - pictures # SKIP no qemu-system-x86_64 here")
        return
    with remote.hearth() as ours, remote.qemu() as theirs:
        def case(name, draw):
            def test():
                for guest in (ours, theirs):
                    draw(guest)
                compare(name, ours.picture(), theirs.picture())
            return name, test
        main([case(*one) for one in CASES])


if __name__ == "__main__":
    run()
