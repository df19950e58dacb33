#!/usr/bin/env python3
"""hearth check and hearth host where they change something: modules, nested paging, huge pages, permission, isolated CPUs."""
import sys

import lab
from spark_test import files

# The lab's modules have no index that modprobe could read.
MODPROBE = """mkdir -p /own && cat >/own/modprobe <<'END'
#!/bin/sh
if [ "$1" = -r ]; then exec rmmod "$2"; fi
name=$(echo "$1" | tr _ -); shift
exec insmod "/lab/modules/$name.ko" "$@"
END
chmod +x /own/modprobe; export PATH=/own:$PATH
"""
HEARTH = "/build/hearth"


def steps(name, *lines):
    return lab.Test(name, MODPROBE + "set -e\n" + "\n".join(lines), 200)


TESTS = [
    steps("check finds KVM and runs guests",
          f"{HEARTH} check >/tmp/said || {{ cat /tmp/said; exit 1; }}", "cat /tmp/said",
          "grep -q 'vmx, svm.*PASS (svm: AMD-V)' /tmp/said",
          "grep -q 'module kvm_amd .*PASS (loaded)' /tmp/said",
          "[ $(grep -c 'tiny guest in .*PASS' /tmp/said) = 4 ]"),
    steps("check without the module",
          "rmmod kvm_amd", f"! {HEARTH} check >/tmp/said", "cat /tmp/said",
          "grep -q 'kvm_amd .*FAIL (absent; sudo modprobe kvm_amd)' /tmp/said", "/own/modprobe kvm_amd",
          f"{HEARTH} check -q >/dev/null"),
    steps("check without permission",
          "mkdir -p /etc; printf 'root::0:0::/:/bin/sh\\nnobody::65534:65534::/:/bin/sh\\n' >/etc/passwd", "chmod 600 /dev/kvm",
          f"! su nobody -s /bin/sh -c '{HEARTH} check >/tmp/said-by-nobody'", "cp /tmp/said-by-nobody /tmp/said", "cat /tmp/said",
          "grep -q '/dev/kvm .*FAIL (no permission; sudo usermod -aG kvm' /tmp/said"),
    steps("nested paging off and on",
          f"{HEARTH} host ept off", "[ $(cat /sys/module/kvm_amd/parameters/npt) = N ]",
          f"{HEARTH} check >/tmp/said", "grep 'nested page tables' /tmp/said",
          "grep -q 'npt.*WARN (switched off; sudo hearth host ept on)' /tmp/said",
          "[ $(grep -c 'tiny guest in .*PASS' /tmp/said) = 4 ]",
          f"{HEARTH} host ept on", "[ $(cat /sys/module/kvm_amd/parameters/npt) = Y ]"),
    steps("nested paging is left alone while a VM runs",
          f"{HEARTH} -accel kvm -S -display none -serial none & pid=$!", "sleep 2",
          f"! {HEARTH} host ept off 2>/tmp/said", "cat /tmp/said", "grep -q 'a virtual machine runs' /tmp/said",
          "kill $pid; wait $pid || true"),
    steps("huge pages are reserved and counted",
          f"{HEARTH} host hugepages 16", "grep HugePages_Total /proc/meminfo | grep -q ' 16$'",
          "grep -q ' /dev/hugepages hugetlbfs ' /proc/mounts",
          f"! {HEARTH} host hugepages 100000 >/tmp/said", "cat /tmp/said", "grep -q 'Got [0-9]* of 100000: memory has no more' /tmp/said",
          f"{HEARTH} host hugepages 0"),
]

CPUS = [
    steps("isolated CPUs", f"{HEARTH} check cpus >/tmp/said", "cat /tmp/said", "grep -q '^ *1  isolated' /tmp/said",
          "grep -q '^ *0  -' /tmp/said"),
]


def main():
    try:
        lab.main_rounds([(TESTS, files(), {}), (CPUS, files(), {"cpus": 2, "append": "isolcpus=1"})])
    except lab.Unavailable as why:
        sys.exit(lab.skip_all(why))


main()
