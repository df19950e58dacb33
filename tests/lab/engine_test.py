#!/usr/bin/env python3
"""The KVM engine's own tests (engine.c), run on a real kvm_amd: with nested paging and with shadow paging."""
import os
import sys

import lab

PROGRAM = os.path.join(lab.ROOT, "build", "lab", "engine")

npt = sys.argv[1:] or ["1"]
tests = [lab.Test("engine", "/engine", 300)]
lab.main(tests, {PROGRAM: "/engine"})
