#!/usr/bin/env python3
"""gdb attached to a guest: from the reset vector into paged protected mode in one session, breakpoints, steps, watchpoints,
threads; and what a hostile client sends."""
import os
import re
import shutil
import socket
import subprocess

from hearth import Failure, Machine, Skip, expect, image, main

SPARK = ("-accel", "soft", "-m", "32M", "-fda", image("spark.img"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Debugged(Machine):
    def __init__(self, *arguments):
        self.port = free_port()
        super().__init__("-S", "-gdb", f"tcp::{self.port}", *arguments)
        _ = self.monitor  # it listens now

    def gdb(self, *commands):
        """What gdb says to these, with a mark behind each so that they can be told apart."""
        if not shutil.which("gdb"):
            raise Skip("gdb is not installed")
        line = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", f"target remote 127.0.0.1:{self.port}"]
        for number, command in enumerate(commands):
            line += ["-ex", f"echo @{number}\\n", "-ex", command]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120, env=dict(os.environ, DEBUGINFOD_URLS=""))
        text = done.stdout.decode(errors="replace")
        print("\n".join("# " + said for said in text.splitlines()))
        return dict(re.findall(r"@(\d+)\n(.*?)(?=@\d+\n|\Z)", text, re.S))


def from_power_on_into_the_kernel():
    with Debugged(*SPARK) as machine:
        said = machine.gdb("info registers rip cs cs_base", "break *0x7c00", "continue", "x/2xb 0x7dfe", "stepi",
                           "info registers rip", "delete", "break *0x30400", "continue", "info registers cr0 cr3 cs",
                           "x/1xw 0x30000", "stepi", "info registers rsp", "info threads", "monitor info status", "detach")
        expect("0xfff0" in said["0"] and "0xffff0000" in said["0"], "the reset vector")
        expect("0x0000000000007c00" in said["2"], "the boot sector")
        expect("0x55\t0xaa" in said["3"], "its signature")
        expect("0x7c00" not in said["5"], "a step moves on")
        expect("0x0000000000030400" in said["8"], "the kernel's entry")
        expect(re.search(r"cr0\s+0x8", said["9"]) and re.search(r"cr3\s+0x100000", said["9"]), "paging is on")
        expect("0x464c457f" in said["10"], "the ELF header below it")
        expect(not re.search(r"rsp\s+0x0\b", said["12"]), "the kernel's stack")
        expect("CPU#0" in said["13"], "the CPU is a thread")
        expect("paused (debug)" in said["14"], "the monitor through gdb")
        machine.wait_serial("spark> ")


def watchpoints_stop():
    with Debugged(*SPARK) as machine:
        # SeaBIOS reads the extended BIOS data area's segment; the page directory is written by the loader.
        said = machine.gdb("rwatch *(short*)0x40e", "continue", "delete", "watch *(int*)0x100000", "continue",
                           "info registers rip", "x/1xw 0x100000", "delete", "detach")
        expect("atchpoint" in said["1"] and "0x40e" in said["1"], "a read is seen")
        expect("atchpoint" in said["4"], "a write is seen")
        expect(re.search(r"rip\s+0x9[0-9a-f]{4}", said["5"]), "it is the loader's")
        machine.wait_serial("spark> ")


def registers_and_memory_are_written():
    with Debugged("-accel", "soft") as machine:
        said = machine.gdb("set $rax = 0x1122334455667788", "info registers rax", "set *(int*)0x5000 = 0x12345678",
                           "x/1xw 0x5000", "set $xmm3.v2_int64[1] = 0x77", "p $xmm3.v2_int64[1]", "set $st0 = 1.5", "p $st0",
                           "set $eflags = 0x246", "info registers eflags", "detach")
        expect("0x1122334455667788" in said["1"], "rax")
        expect("0x12345678" in said["3"], "memory")
        expect("0x77" in said["5"] or "119" in said["5"], "xmm3")
        expect("1.5" in said["7"], "st0")
        expect("IF" in said["9"] and "ZF" in said["9"], "eflags")


class Remote:
    """A client of the protocol without gdb."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.buffer = b""

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, packet):
        self.raw(b"$" + packet + b"#%02x" % (sum(packet) & 0xff))

    def packet(self):
        while not re.search(rb"\$[^#]*#..", self.buffer):
            piece = self.socket.recv(65536)
            if not piece:
                raise Failure("the server closed")
            self.buffer += piece
        found = re.search(rb"\$([^#]*)#..", self.buffer)
        self.buffer = self.buffer[found.end():]
        return found.group(1).decode()

    def ask(self, packet):
        self.send(packet)
        return self.packet()


def an_interrupt_stops_and_detaching_goes_on():
    with Debugged(*SPARK) as machine:
        remote = Remote(machine.port)
        expect(remote.ask(b"?") == "T05thread:1;", "stopped")
        remote.send(b"c")
        machine.wait_serial("spark> ")
        remote.raw(b"\x03")
        expect(remote.packet() == "T02thread:1;", "SIGINT")
        expect(machine.monitor.run("info status") == "VM status: paused", "it stands")
        expect(remote.ask(b"D") == "OK", "detach")
        machine.type("free\r")
        machine.wait_serial("spark> ", 2)
        remote.socket.close()
        second = Remote(machine.port)
        expect(second.ask(b"qfThreadInfo") == "m1", "a second client")
        second.send(b"k")
        expect(machine.wait_end() == 0, "killed")


def the_guests_end_is_told():
    with Debugged(*SPARK) as machine:
        remote = Remote(machine.port)
        remote.send(b"c")
        machine.wait_serial("spark> ")
        machine.type("poweroff\r")
        expect(remote.packet() == "W00", "exited")
        expect(machine.wait_end() == 0, "ended")


def hostile_clients():
    with Debugged("-accel", "soft") as machine:
        remote = Remote(machine.port)
        for packet in (b"", b"m", b"m0", b"m0,", b"mffffffffffffffff,ffffffffffffffff", b"M0,4:12", b"X0,ffff:", b"Z0", b"Z9,0,0",
                       b"z0,zz,1", b"p", b"pffffffffffffffff", b"P0", b"P0=", b"P99999999=00", b"G", b"G00", b"Hg99",
                       b"Hg-1", b"T99", b"vCont", b"vCont;", b"vCont;c:77", b"vCont?", b"qXfer:features:read:target.xml:", b"qThreadExtraInfo,99",
                       b"qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff", b"qRcmd,zz", b"qRcmd,6", b"Q",
                       b"vFile:open:00", b"\xff\xfe", b"}", b"m0,4}"):
            remote.ask(packet)
        for index in range(20):
            remote.ask(b"Z0,%x,1" % (0x1000 + index))
        expect(remote.ask(b"Z0,5000,1") == "E16", "more points than there are")
        remote.raw(b"$m0,4#00")       # a wrong sum
        remote.raw(b"$" + b"x" * 100000 + b"#00")
        remote.raw(b"\x03\x03\x03#$#$$$###")
        remote.socket.close()
        second = Remote(machine.port)
        expect(second.ask(b"?") == "T05thread:1;", "still there")


def more_than_one_cpu():
    with Debugged("-accel", "soft", "-smp", "2", "-m", "32M", "-fda", image("spark.img")) as machine:
        if "runs 1 CPU" in machine.stderr():
            raise Skip("the software CPU runs one CPU")
        remote = Remote(machine.port)
        expect(remote.ask(b"qfThreadInfo") == "m1,2", "two threads")
        remote.send(b"c")
        machine.wait_serial("spark> ")
        remote.raw(b"\x03")
        remote.packet()
        expect(remote.ask(b"Hg2") == "OK" and len(remote.ask(b"g")) > 500, "the second one's registers")
        expect(bytes.fromhex(remote.ask(b"qThreadExtraInfo,2")).startswith(b"CPU#1"), "its name")
        expect(remote.ask(b"vCont;s:1").startswith("T05thread:1"), "one steps, the other is held")
        expect(remote.ask(b"D") == "OK", "detach")
        machine.type("smp\r")
        machine.wait_serial("spark> ", 2)


main([from_power_on_into_the_kernel, watchpoints_stop, registers_and_memory_are_written,
      an_interrupt_stops_and_detaching_goes_on, the_guests_end_is_told, hostile_clients, more_than_one_cpu])
