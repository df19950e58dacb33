"""A VNC viewer without a screen, for the tests: RFB 3.3 to 3.8 (RFC 6143), raw and copied rectangles, DesktopSize,
QEMU's extended keys, optionally over a WebSocket (RFC 6455). Standard library only."""
import base64
import os
import socket
import struct
import subprocess

from hearth import PATIENCE, Failure, wait_for

RAW, COPY, CURSOR, SIZE, EXTENDED_SIZE, POINTER_CHANGE, EXTENDED_KEYS = 0, 1, -239, -223, -308, -257, -258
RETURN, CONTROL, ALT, SHIFT = 0xff0d, 0xffe3, 0xffe9, 0xffe1


class Ended(Failure):
    """The server has closed the connection."""


def some(plain, count):
    """recv(); nothing if the connection has ended in whatever way."""
    try:
        return plain.recv(count)
    except ConnectionError:
        return b""


class WebSocket:
    """What Viewer needs of a socket, in binary frames."""

    def __init__(self, plain, host, path="/websockify", headers=()):
        self.plain, self.buffer = plain, b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: binary",
                 f"Origin: http://{host}", *headers]
        plain.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            piece = some(plain, 1)
            if not piece:
                raise Ended(f"no answer to the WebSocket's request: {head}")
            head += piece
        self.head = head.decode()
        if " 101 " not in self.head.split("\r\n", maxsplit=1)[0] + " ":
            raise Ended(f"no WebSocket: {self.head}")

    def sendall(self, data):
        for at in range(0, len(data), 60000):
            piece = data[at:at + 60000]
            length = bytes([0x80 | len(piece)]) if len(piece) < 126 else b"\xfe" + struct.pack(">H", len(piece))
            mask = os.urandom(4)
            self.plain.sendall(b"\x82" + length + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(piece)))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = some(self.plain, count - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def recv(self, count):
        while not self.buffer:
            head = self._exactly(2)
            if not head or head[0] & 0xf == 8:
                return b""
            length = head[1] & 0x7f
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self._exactly(size), "big")
            self.buffer = self._exactly(length)
        piece, self.buffer = self.buffer[:count], self.buffer[count:]
        return piece

    def settimeout(self, seconds):
        self.plain.settimeout(seconds)

    def close(self):
        self.plain.close()


def connect(address):
    """A socket to a port of this host or to a path."""
    plain = socket.socket(socket.AF_INET if isinstance(address, int) else socket.AF_UNIX)
    plain.settimeout(PATIENCE)
    plain.connect(("127.0.0.1", address) if isinstance(address, int) else address)
    return plain


def encrypt(challenge, password):
    """VNC authentication's DES, whose key has its bits the other way round (RFC 6143, 7.2.2), by the openssl command."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(8, b"\0")[:8])
    done = subprocess.run(["openssl", "enc", "-des-ede3", "-nopad", "-K", (key * 3).hex()], input=challenge,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise Failure(f"openssl: {done.stderr.decode()}")
    return done.stdout


class Viewer:
    def __init__(self, address, version=b"RFB 003.008\n", password=None, shared=1, websocket=None,
                 encodings=(RAW, COPY, SIZE)):
        self.socket = connect(address)
        if websocket:
            self.socket = WebSocket(self.socket, **websocket)
        self.version = self.receive(12)
        self.send(version)
        minor = int(version[8:11])
        if minor < 7:
            self.security = struct.unpack(">I", self.receive(4))[0]
        else:
            self.security = self.receive(self.receive(1)[0])
            if password is not None and 2 not in self.security or password is None and 1 not in self.security:
                raise Failure(f"security types {list(self.security)}")
            self.send(bytes([2 if password is not None else 1]))
        if password is not None:
            self.send(encrypt(self.receive(16), password))
        if password is not None or minor >= 8:
            result = struct.unpack(">I", self.receive(4))[0]
            if result:
                reason = self.receive(struct.unpack(">I", self.receive(4))[0]).decode() if minor >= 8 else ""
                raise Failure(f"refused: {reason}")
        self.send(bytes([shared]))
        self.width, self.height, self.format, length = struct.unpack(">HH16sI", self.receive(24))
        self.name = self.receive(length).decode()
        self.picture = bytearray(self.width * self.height * 3)
        self.updates, self.pixels, self.seen = 0, 0, []
        self.encodings(*encodings)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, count):
        data = bytearray()
        while len(data) < count:
            piece = some(self.socket, min(count - len(data), 1 << 20))
            if not piece:
                raise Ended("the server has closed the connection")
            data += piece
        return bytes(data)

    # ---- what a viewer says

    def encodings(self, *numbers):
        self.send(struct.pack(">BxH", 2, len(numbers)) + b"".join(struct.pack(">i", number) for number in numbers))

    def request(self, incremental=True, x=0, y=0, width=None, height=None):
        self.send(struct.pack(">BBHHHH", 3, incremental, x, y, width or self.width, height or self.height))

    def key(self, keysym, down):
        self.send(struct.pack(">BBxxI", 4, down, keysym))

    def press(self, *keysyms):
        for keysym in keysyms:
            self.key(keysym, 1)
        for keysym in reversed(keysyms):
            self.key(keysym, 0)

    def type(self, text):
        for character in text:
            self.press(RETURN if character == "\n" else ord(character))

    def scan_code(self, keysym, code):
        for down in (1, 0):
            self.send(struct.pack(">BBHII", 255, 0, down, keysym, code))

    def pointer(self, x, y, mask=0):
        self.send(struct.pack(">BBHH", 5, mask, x, y))

    def cut(self, text):
        self.send(struct.pack(">BxxxI", 6, len(text)) + text.encode("latin-1"))

    # ---- what the server says

    def _raw(self, x, y, width, height):
        data = self.receive(width * height * 4)
        rgb = bytearray(width * height * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
        for row in range(height):
            at = ((y + row) * self.width + x) * 3
            self.picture[at:at + width * 3] = rgb[row * width * 3:(row + 1) * width * 3]
        self.pixels += width * height

    def _resize(self, width, height):
        if (width, height) != (self.width, self.height):
            self.width, self.height, self.picture = width, height, bytearray(width * height * 3)

    def _rectangle(self):
        x, y, width, height, encoding = struct.unpack(">HHHHi", self.receive(12))
        self.seen.append((encoding, x, y, width, height))
        if encoding == RAW:
            self._raw(x, y, width, height)
        elif encoding == COPY:
            raise Failure("a copied rectangle was not asked for")
        elif encoding == CURSOR:
            self.receive(width * height * 4 + (width + 7) // 8 * height)
        elif encoding == EXTENDED_SIZE:
            self.receive(16 * self.receive(4)[0])
            self._resize(width, height)
        elif encoding == SIZE:
            self._resize(width, height)
        elif encoding not in (POINTER_CHANGE, EXTENDED_KEYS):
            raise Failure(f"encoding {encoding}")

    def message(self):
        """Waits for one; answers its type."""
        kind = self.receive(1)[0]
        if kind == 0:
            for _ in range(struct.unpack(">xH", self.receive(3))[0]):
                self._rectangle()
            self.updates += 1
        elif kind == 3:
            self.receive(struct.unpack(">xxxI", self.receive(7))[0])
        elif kind != 2:
            raise Failure(f"message {kind}")
        return kind

    def update(self, incremental=True):
        """Asks for an update and waits for it."""
        before = self.updates
        self.request(incremental)
        while self.updates == before:
            self.message()

    def look_until(self, condition, what):
        def seen():
            self.update()
            return condition()
        return wait_for(seen, what)
