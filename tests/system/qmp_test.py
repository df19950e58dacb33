#!/usr/bin/env python3
"""QMP: the protocol as QEMU speaks it, commands, events, and what a hostile client sends."""
import json
import os
import socket
import tempfile

from hearth import Machine, expect, image, main, wait_for

SPARK = ("-accel", "soft", "-m", "32M", "-fda", image("spark.img"))


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        wait_for(lambda: not self.socket.connect_ex(path), "QMP's socket")
        self.buffer, self.events = b"", []
        self.greeting = self.read()

    def line(self):
        while b"\r\n" not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read(self):
        line = self.line()
        return line and json.loads(line)

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else json.dumps(text).encode())

    def answer(self):
        """The next one that is no event."""
        while True:
            message = self.read()
            if message is None or "event" not in message:
                return message
            self.events.append(message)

    def run(self, name, **arguments):
        self.send({"execute": name, "arguments": arguments} if arguments else {"execute": name})
        return self.answer()

    def event(self, name):
        """Waits for it."""
        while not any(event["event"] == name for event in self.events):
            message = self.read()
            expect(message is not None, f"the connection ended before {name}")
            if "event" in message:
                self.events.append(message)
        return next(event for event in self.events if event["event"] == name)


class QmpMachine(Machine):
    def __init__(self, *arguments, negotiate=True):
        self.qmp_path = None
        folder = tempfile.mkdtemp(prefix="hearth-qmp-")
        self.qmp_path = os.path.join(folder, "qmp")
        super().__init__("-qmp", f"unix:{self.qmp_path},server=on,wait=off", *arguments)
        self.qmp = Qmp(self.qmp_path)
        if negotiate:
            expect(self.qmp.run("qmp_capabilities") == {"return": {}}, "negotiation")

    def stop(self):
        self.qmp.socket.close()
        super().stop()
        expect(not os.path.exists(self.qmp_path), "the socket is removed")
        os.rmdir(os.path.dirname(self.qmp_path))


def the_greeting_and_negotiation():
    with QmpMachine("-S", "-accel", "soft", negotiate=False) as machine:
        qmp = machine.qmp
        expect(qmp.greeting["QMP"]["capabilities"] == ["oob"], qmp.greeting)
        expect(set(qmp.greeting["QMP"]["version"]["qemu"]) == {"major", "minor", "micro"}, qmp.greeting)
        early = qmp.run("query-status")
        expect(early == {"error": {"class": "CommandNotFound",
                                   "desc": "Expecting capabilities negotiation with 'qmp_capabilities'"}}, early)
        qmp.send(b'{"execute": "qmp_capabilities"}\n')
        expect(qmp.line() == b'{"return": {}}', "to the letter")
        expect(qmp.run("qmp_capabilities")["error"]["class"] == "CommandNotFound", "only once")


def errors_are_qemus():
    with QmpMachine("-S", "-accel", "soft") as machine:
        qmp = machine.qmp

        def fault(text):
            qmp.send(text)
            return qmp.answer()["error"]["desc"]
        expect(fault({"execute": "bogus"}) == "The command bogus has not been found", "unknown command")
        expect(fault({"foo": 1}) == "QMP input member 'foo' is unexpected", "unknown member")
        expect(fault({"id": 1}) == "QMP input lacks member 'execute'", "no execute")
        expect(fault(b"[1, 2]") == "QMP input must be a JSON object", "a list")
        expect(fault({"execute": "stop", "arguments": {"x": 1}}) == "Parameter 'x' is unexpected", "unknown argument")
        expect(fault({"execute": "pmemsave", "arguments": {"val": 0, "size": 1}}) == "Parameter 'filename' is missing",
               "missing argument")
        expect(fault({"execute": "screendump", "arguments": {"filename": 3}}) ==
               "Invalid parameter type for 'filename', expected: string", "wrong type")
        expect(fault(b'{"execute": nonsense}').startswith("JSON parse error"), "no JSON")
        qmp.send({"execute": "bogus", "id": {"a": [1]}})
        expect(qmp.answer()["id"] == {"a": [1]}, "the id comes back")
        qmp.send(b'{"execute":\n "query-status"\n, "id": "x"} {"execute": "query-name"}')
        expect(qmp.answer()["id"] == "x" and qmp.answer() == {"return": {}}, "two in one, over lines")


def what_is_asked_is_answered():
    with QmpMachine("-S", "-accel", "soft", "-name", "guest=one", "-m", "64M") as machine:
        run = machine.qmp.run
        expect(run("query-status")["return"] == {"status": "prelaunch", "singlestep": False, "running": False}, "status")
        expect(run("query-name")["return"] == {"name": "one"}, "name")
        expect(run("query-uuid")["return"] == {"UUID": "00000000-0000-0000-0000-000000000000"}, "uuid")
        expect(run("query-kvm")["return"] == {"enabled": False, "present": False}, "kvm")
        expect(run("query-memory-size-summary")["return"] == {"base-memory": 64 << 20}, "memory")
        cpus = run("query-cpus-fast")["return"]
        expect(len(cpus) == 1 and cpus[0]["cpu-index"] == 0 and cpus[0]["target"] == "x86_64", cpus)
        name = open(f"/proc/{machine.process.pid}/task/{cpus[0]['thread-id']}/comm", encoding="ascii").read()
        expect(name == "CPU 0/SOFT\n", name)
        names = [row["name"] for row in run("query-commands")["return"]]
        expect("qmp_capabilities" in names and names == sorted(names), names)
        said = run("human-monitor-command", **{"command-line": "info status"})["return"]
        expect(said == "VM status: paused (prelaunch)\r\n", said)
        wrong = run("human-monitor-command", **{"command-line": "bogus"})["return"]
        expect(wrong == "unknown command: 'bogus'\r\n", wrong)


def events_come_before_the_answer():
    with QmpMachine("-S", *SPARK) as machine:
        qmp = machine.qmp
        qmp.send({"execute": "cont"})
        first, second = qmp.read(), qmp.read()
        expect(first["event"] == "RESUME" and second == {"return": {}}, f"{first} {second}")
        expect(set(first["timestamp"]) == {"seconds", "microseconds"}, first)
        machine.wait_serial("spark> ")
        expect(qmp.run("stop") == {"return": {}} and qmp.events[-1]["event"] == "STOP", qmp.events)
        qmp.run("cont")
        qmp.run("system_reset")
        expect(qmp.event("RESET")["data"] == {"guest": False, "reason": "host-qmp-system-reset"}, qmp.events)
        machine.wait_serial("spark> ", 2)
        qmp.run("send-key", keys=[{"type": "qcode", "data": key} for key in ("shift", "h")])
        qmp.run("send-key", keys=[{"type": "number", "data": 0x17}], **{"hold-time": 20})
        machine.wait_screen("spark> Hi")
        qmp.run("system_powerdown")
        qmp.event("POWERDOWN")
        expect(qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}, qmp.events)
        expect(machine.wait_end() == 0, "ended")


def media_are_ejected():
    with QmpMachine("-S", *SPARK) as machine:
        run = machine.qmp.run
        expect("error" in run("eject", device="bogus"), "no such drive")
        expect(run("eject", device="floppy0", force=True) == {"return": {}}, "eject")
        said = run("human-monitor-command", **{"command-line": "info block"})["return"]
        expect("spark.img" not in said and "floppy0" in said, said)


def quit_is_answered():
    with QmpMachine("-S", "-accel", "soft") as machine:
        qmp = machine.qmp
        expect(qmp.run("quit") == {"return": {}}, "answer")
        expect(qmp.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-quit"}, qmp.events)
        expect(machine.wait_end() == 0, "ended")


def files_are_written():
    with QmpMachine("-S", "-accel", "soft") as machine:
        odd = os.path.join(machine.folder, 'a "quoted\\ name')
        expect(machine.qmp.run("pmemsave", val=0xffff0, size=16, filename=odd) == {"return": {}}, "pmemsave")
        expect(open(odd, "rb").read()[0] == 0xea, "the reset vector's far jump")
        expect(machine.qmp.run("screendump", filename=odd, format="png") == {"return": {}}, "screendump")
        expect(open(odd, "rb").read(4) == b"\x89PNG", "PNG")
        expect("No such file" in machine.qmp.run("screendump", filename="/nonexistent/x")["error"]["desc"], "error")
        for steps in (1500, 2500):
            long = machine.folder + "/." * steps + "/long"
            answer = machine.qmp.run("screendump", filename=long)
            expect("too long" in answer["error"]["desc"], f"a path that is too long: {answer}")


def hostile_clients():
    with QmpMachine("-S", "-accel", "soft") as machine:
        qmp = machine.qmp
        for text in (b"}" * 1000, b"[" * 5000 + b"]" * 5000, b'"' + b"x" * 3000000 + b'"\n', b"\xff\xfe\n",
                     b'{"execute": "\\ud800"}', b'{"a":' * 2000 + b"1" + b"}" * 2000):
            qmp.send(text)
        qmp.send({"execute": "query-status", "id": "alive"})
        while True:
            answer = qmp.answer()
            expect(answer is not None, "the connection stands")
            if answer.get("id") == "alive":
                break
        half = socket.socket(socket.AF_UNIX)
        qmp.send(b'{"execute": "query-st')
        qmp.socket.close()
        half.connect(machine.qmp_path)
        machine.qmp = Qmp.__new__(Qmp)
        machine.qmp.socket, machine.qmp.buffer, machine.qmp.events = half, b"", []
        half.settimeout(60)
        expect("QMP" in machine.qmp.read(), "a new client is greeted afresh")
        expect(machine.qmp.run("query-status")["error"]["class"] == "CommandNotFound", "and has to negotiate")


main([the_greeting_and_negotiation, errors_are_qemus, what_is_asked_is_answered, events_come_before_the_answer,
      media_are_ejected, quit_is_answered, files_are_written, hostile_clients])
