#!/usr/bin/env python3
"""The software CPU's handlers go on to the next operation by a jump. gcc 12 cannot be told to, only checked: an indirect
call in a handler means that some path has become a call and the host's stack grows with the guest's instructions."""
import os
import shutil
import subprocess
from glob import glob

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOFT = os.path.join(ROOT, "build/objects/hearth/cpu/soft")
OBJECTS = sorted(glob(os.path.join(SOFT, "execute-*.o")) + glob(os.path.join(SOFT, "sse-*.o")))
RUN = "0x20("  # op[1].run, as handlers see it; sse-*.c also call functions by pointers, in registers


def indirect_calls(path):
    text = subprocess.run(["objdump", "-d", path], capture_output=True, text=True, check=True).stdout
    return [line.strip() for line in text.splitlines() if "\tcall " in line and "*" + RUN in line]


def main():
    if not shutil.which("objdump") or not OBJECTS:
        print("ok 1 - dispatch # SKIP no objdump or nothing built")
        return
    for number, path in enumerate(OBJECTS, 1):
        calls = indirect_calls(path)
        print(f"{'not ok' if calls else 'ok'} {number} - {os.path.basename(path)} dispatches by jumps")
        for line in calls:
            print(f"# {line}")
    print(f"1..{len(OBJECTS)}")


main()
