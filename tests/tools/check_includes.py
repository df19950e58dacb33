#!/usr/bin/env python3
"""Who may include whom: fails on an include against the arrows of docs/how-it-works.md. Prints TAP."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALL = {"core", "cpu", "devices", "firmware", "storage", "display", "monitor", "host", "machine", "options", "net", "commands"}

# Layer -> what it may include besides itself: whole layers, or single headers.
ALLOWED = {
    "main.c": ALL,
    "options": {"core/log.h", "core/settings.h", "core/topology.h", "core/uuid.h"},
    "commands": {"core", "cpu/engine.h", "storage/block.h", "storage/create.h"},
    "machine": ALL - {"monitor", "options", "commands"} | {"options/config.h"},
    "monitor": {"core", "host", "display", "machine/machine.h", "storage/block.h", "cpu/engine.h", "cpu/state.h",
                "cpu/walk.h", "cpu/disassemble.h", "options/options.h", "options/config.h"},
    "display": {"core", "host"},
    "devices": {"core", "storage/block.h", "display/surface.h", "net/net.h"},
    "firmware": {"core", "devices/fwcfg.h", "devices/cpu-hotplug.h", "devices/hpet.h", "cpu/state.h"},
    "cpu": {"core"},
    "cpu/kvm": {"core", "cpu"},
    "cpu/soft": {"core", "cpu"},
    "storage": {"host", "core"},
    "net": {"host", "core"},
    "core": {"host"},
    "host": {"core"},
}
# Devices that belong together (named pairs): file prefix -> sibling headers it may include.
PAIRS = {
    "fdc": {"dma"}, "port61": {"pit"}, "i440fx": {"pci"},
    "piix3": {"pci"}, "piix4pm": {"pci"}, "ide": {"pci"}, "vga": {"pci"}, "virtio": {"pci"}, "e1000": {"pci"}, "i6300esb": {"pci"},
    "ata": {"ide-drive"}, "atapi": {"ide-drive"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def layer_of(path):
    if path == "main.c":
        return path
    for engine in ("cpu/kvm", "cpu/soft"):
        if path.startswith(engine + "/"):
            return engine
    return path.split("/")[0]


def sibling_allowed(path, header):
    own, other = os.path.basename(path).rsplit(".", 1)[0], os.path.basename(header)[:-2]
    family = re.split(r"[-_]", own)[0]
    if other == own or other == family or re.split(r"[-_]", other)[0] == family:
        return True
    return other in PAIRS.get(family, set())


def allowed(path, header):
    layer, other = layer_of(path), layer_of(header)
    if layer == "devices" and other == "devices":
        return sibling_allowed(path, header)
    if layer == "cpu/kvm" and other == "cpu/soft" or layer == "cpu/soft" and other == "cpu/kvm":
        return False
    if layer == "cpu" and other in ("cpu/kvm", "cpu/soft"):
        return False
    return layer == other or other in ALLOWED[layer] or header in ALLOWED[layer]


def main():
    bad, seen = [], 0
    top = os.path.join(ROOT, "hearth")
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.relpath(os.path.join(folder, name), top)
            for number, line in enumerate(open(os.path.join(folder, name), encoding="utf-8"), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                seen += 1
                header = match.group(1)
                if "/" not in header:
                    bad.append(f"hearth/{path}:{number}: \"{header}\" should name its folder")
                elif not allowed(path, header):
                    bad.append(f"hearth/{path}:{number}: {layer_of(path)} may not include {header}")
    for line in bad:
        print(f"# {line}")
    print(f"{'not ok' if bad or not seen else 'ok'} 1 - {seen} includes follow the arrows")
    return 1 if bad or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
