"""Little ELF files for the loader to load, or to refuse."""

import pathlib
import struct
import subprocess
import tempfile

HEADER, PROGRAM = 52, 32
PT_LOAD, PF_X, PF_W, PF_R = 1, 1, 2, 4


def assemble(source, **defines):
    """The bytes of a nasm source."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "out"
        flags = [f"-D{name}={value}" for name, value in defines.items()]
        subprocess.run(["nasm", "-f", "bin", *flags, "-o", out, source], check=True)
        return out.read_bytes()


def build(segments, entry, **header):
    """segments: dicts with address, data, and perhaps memsz, flags, type. header: what to put in place of what is right."""
    offset = HEADER + PROGRAM * len(segments)
    programs, body = b"", b""
    for segment in segments:
        data = segment.get("data", b"")
        programs += struct.pack("<8I", segment.get("type", PT_LOAD), segment.get("offset", offset + len(body)),
                                segment["address"], segment["address"], segment.get("filesz", len(data)),
                                segment.get("memsz", len(data)), segment.get("flags", PF_R | PF_W | PF_X), 16)
        body += data
    fields = dict(magic=b"\x7fELF", elf_class=1, order=1, type=2, machine=3, entry=entry, phoff=HEADER,
                  phentsize=PROGRAM, phnum=len(segments))
    fields.update(header)
    ident = fields["magic"] + bytes([fields["elf_class"], fields["order"], 1]) + bytes(9)
    rest = struct.pack("<HHIIIIIHHHHHH", fields["type"], fields["machine"], 1, fields["entry"], fields["phoff"], 0, 0,
                       HEADER, fields["phentsize"], fields["phnum"], 0, 0, 0)
    return ident + rest + programs + body
