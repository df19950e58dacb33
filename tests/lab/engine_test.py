#!/usr/bin/env python3
"""The KVM engine's own tests (engine.c), run on a real kvm_amd: with nested paging and with shadow paging."""
import os

import lab

PROGRAM = os.path.join(lab.ROOT, "build", "lab", "engine")

lab.main_rounds([
    ([lab.Test("engine", "/engine", 300)], {PROGRAM: "/engine"}, {}),
    ([lab.Test("engine, shadow paging", "/engine", 300)], {PROGRAM: "/engine"}, {"module_options": {"kvm-amd": "npt=0"}}),
])
