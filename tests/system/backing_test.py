#!/usr/bin/env python3
"""Where guest RAM lies: -mem-path, -mem-prealloc, memory backends, and what is refused before the start."""
import subprocess

import hearth


def refused(*arguments):
    done = subprocess.run([hearth.HEARTH, "-accel", "soft", "-display", "none", "-nic", "none", "-S", "-m", "64", *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=hearth.PATIENCE)
    lines = done.stderr.decode().splitlines()
    hearth.expect(done.returncode == 1 and len(lines) == 1, f"one line and status 1, but {done.returncode} and {lines}")
    return lines[0]


def test_what_is_refused():
    hearth.expect("can't open backing store /nonexistent for guest RAM: No such file" in refused("-mem-path", "/nonexistent"),
                  "a path that is not there")
    object_ = "memory-backend-ram,id=m,size=32M"
    hearth.expect("-m asks for" in refused("-object", object_, "-machine", "memory-backend=m"), "another size")
    hearth.expect("nothing uses it" in refused("-object", object_), "an object without use")
    hearth.expect("no -object has this id" in refused("-machine", "memory-backend=m"), "no such object")
    huge = "memory-backend-memfd,id=m,size=1T,hugetlb=on"
    hearth.expect("guest RAM" in refused("-m", "1T", "-object", huge, "-machine", "memory-backend=m"), "too few huge pages")


def test_a_guest_on_each_kind():
    for arguments in (["-mem-prealloc"], ["-mem-path", "/dev/shm", "-mem-prealloc"],
                      ["-object", "memory-backend-memfd,id=m,size=64M,prealloc=on", "-machine", "pc,memory-backend=m"]):
        with hearth.Machine("-accel", "soft", "-nic", "none", "-m", "64", "-S", *arguments) as machine:
            said = machine.monitor.run("info memory")
            resident = sum(int(line.split(": ")[1].split()[0]) for line in said.splitlines()[1:])
            hearth.expect(resident == 65536, f"all of it is resident with {arguments}, but: {said}")


hearth.main([test_what_is_refused, test_a_guest_on_each_kind])
