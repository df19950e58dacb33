#!/usr/bin/env python3
"""vCPU threads on host CPUs: names, -vcpu-pin, the monitor's pin, what info cpus -v reads back, and taskset from outside."""
import os
import re
import subprocess

from hearth import HEARTH, PATIENCE, Machine, Skip, expect, main

HERE = sorted(os.sched_getaffinity(0))


def two_cpus():
    if len(HERE) < 2:
        raise Skip("this host lets us use one CPU")
    return HERE[:2]


def machine(*arguments):
    return Machine("-accel", "soft", "-S", *arguments)


def threads(vm):
    """Thread ids by the monitor's order."""
    return [int(found) for found in re.findall(r"thread_id=(\d+)", vm.monitor.run("info cpus"))]


def allowed(thread):
    return sorted(os.sched_getaffinity(thread))


def the_threads_have_names():
    with machine("-smp", "2") as vm:
        for number, thread in enumerate(threads(vm)):
            with open(f"/proc/{vm.process.pid}/task/{thread}/comm", encoding="ascii") as file:
                expect(file.read() == f"CPU {number}/SOFT\n", "another name")


def pinned_by_option():
    first, second = two_cpus()
    with machine("-smp", "2", "-vcpu-pin", f"0={second},1={first}") as vm:
        expect([allowed(thread) for thread in threads(vm)] == [[second], [first]], "the kernel says otherwise")
        expect(allowed(vm.process.pid) == HERE, "the main thread went too")
        text = vm.monitor.run("info cpus -v")
        shown = re.findall(r"host CPU \d+, allowed (\S+), run [\d.]+ s, stolen (?:[\d.]+ s|unknown)$", text, re.M)
        expect(shown == [str(second), str(first)], text)


def pinned_by_itself():
    two_cpus()
    with machine("-smp", "2", "-vcpu-pin", "auto") as vm:
        places = [allowed(thread) for thread in threads(vm)]
        expect(all(len(place) == 1 for place in places) and places[0] != places[1], f"{places}")


def pinned_by_the_monitor():
    first, second = two_cpus()
    with machine("-smp", "2") as vm:
        expect([allowed(thread) for thread in threads(vm)] == [HERE, HERE], "they should be free")
        expect(vm.monitor.run(f"pin 1={first}") == "", "it should say nothing")
        expect([allowed(thread) for thread in threads(vm)] == [HERE, [first]], "the kernel says otherwise")
        text = vm.monitor.run(f"pin 0={second},1={second}")
        expect(text == f"vCPUs 0 and 1 share host CPU {second} and take turns", text)
        text = vm.monitor.run("pin 0=1023")
        expect(text.startswith("Error: vCPU 0: there is no host CPU 1023"), text)
        text = vm.monitor.run(f"pin 2={first}")
        expect(text == "Error: there is no vCPU 2; the last is 1", text)


def cpus_that_are_not_there():
    """maxcpus has room for more; they get no place and need none, until they come."""
    first, second = two_cpus()
    with machine("-smp", "1,maxcpus=2", "-vcpu-pin", f"0={first}") as vm:
        expect(vm.monitor.run(f"pin 1={first}") == "Error: there is no vCPU 1; the last is 0", "a CPU that is not there")
        vm.monitor.run("device_add qemu64-x86_64-cpu,socket-id=0,core-id=1,thread-id=0")
        expect(vm.monitor.run(f"pin 1={second}") == "", "now it is")
        expect([allowed(thread) for thread in threads(vm)] == [[first], [second]], "the kernel says otherwise")


def taskset_from_outside():
    first, _ = two_cpus()
    with machine("-smp", "2") as vm:
        thread = threads(vm)[1]
        subprocess.run(["taskset", "-p", hex(1 << first), str(thread)], check=True, stdout=subprocess.DEVNULL)
        expect(f"thread_id={thread} host CPU" in vm.monitor.run("info cpus -v"), "where it is")
        expect(re.search(rf"thread_id={thread} .*allowed {first},", vm.monitor.run("info cpus -v")), "what is allowed")


def plans_that_cannot_work():
    for plan, words in (("0=1023", "there is no host CPU 1023"), ("5=0", "there is no vCPU 5"), ("0", "should be VCPU=HOSTCPU"),
                        (f"0={HERE[0]},0={HERE[0]}", "given twice")):
        done = subprocess.run([HEARTH, "-accel", "soft", "-display", "none", "-smp", "2", "-vcpu-pin", plan],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
        text = done.stderr.decode()
        expect(done.returncode == 1 and words in text and text.startswith(f"hearth: -vcpu-pin {plan}: "), text)


main([the_threads_have_names, pinned_by_option, pinned_by_itself, pinned_by_the_monitor, cpus_that_are_not_there, taskset_from_outside,
      plans_that_cannot_work])
