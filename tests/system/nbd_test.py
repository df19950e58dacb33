#!/usr/bin/env python3
"""Disks by NBD: raw and qcow2 behind qemu-nbd, over a UNIX socket and TCP, by all the names there are; servers that are not there,
refuse, are silent or die."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from hearth import HEARTH, ROOT, Machine, Skip, expect, main, wait_for

TOOL = os.path.join(ROOT, "build", "tests", "block_tool")
FOLDER = tempfile.TemporaryDirectory(prefix="hearth-nbd-")
MIB = 1 << 20


def path(name):
    return os.path.join(FOLDER.name, name)


def run(*command, status=0):
    done = subprocess.run(command, cwd=FOLDER.name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)
    text = done.stdout.decode(errors="replace")
    expect(done.returncode == status, f"{' '.join(command)}: status {done.returncode}\n{text[-2000:]}")
    return text


class Server:
    """qemu-nbd with an image, by default an empty one of 16 MiB."""

    def __init__(self, image, *options):
        for program in ("qemu-nbd", "qemu-img"):
            if not shutil.which(program):
                raise Skip(f"no {program} (qemu-utils)")
        if "libnbd was not there" in run(HEARTH, "-version"):
            raise Skip("hearth was built without libnbd (libnbd-dev)")
        if not os.path.exists(path(image)):
            with open(path(image), "wb") as file:
                file.truncate(16 * MIB)
        self.process = subprocess.Popen(["qemu-nbd", "--format=raw", "--persistent", "--shared=4", *options, path(image)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def by_socket(image, name, *options):
    server = Server(image, f"--socket={path(name)}", *options)
    wait_for(lambda: os.path.exists(path(name)), "qemu-nbd's socket")
    return server


def random_requests_by_every_name():
    with by_socket("a.raw", "a.sock", "--discard=unmap", "--export-name=disk"):
        for number, url in enumerate((f"nbd:unix:{path('a.sock')}:exportname=disk", f"nbd+unix:///disk?socket={path('a.sock')}")):
            shutil.copy(path("a.raw"), path("model"))
            run(TOOL, "fuzz", url, "model", str(number + 1), "150")
            run("qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", "a.raw", "model")
        refused = run(TOOL, "read", f"nbd:unix:{path('a.sock')}:exportname=other", "out", status=1)
        expect("other" in refused, refused)


def tcp():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Server("b.raw", f"--port={port}", "--bind=127.0.0.1"):
        def answers():
            try:
                return socket.create_connection(("127.0.0.1", port)).close() or True
            except OSError:
                return False
        wait_for(answers, "qemu-nbd's port")
        for url in (f"nbd:127.0.0.1:{port}", f"nbd://127.0.0.1:{port}/"):
            run(TOOL, "read", url, "out")
            run("cmp", "b.raw", "out")


def qcow2_behind_it():
    run("qemu-img", "create", "-q", "-f", "qcow2", "c.qcow2", "32M")
    with by_socket("c.qcow2", "c.sock"):
        with open(path("model"), "wb") as file:
            file.truncate(32 * MIB)
        run(TOOL, "read", f"nbd:unix:{path('c.sock')}", "out")
        run("cmp", "model", "out")


def a_machine_boots_from_it():
    shutil.copy(os.path.join(ROOT, "build", "spark-disk.img"), path("spark.raw"))
    with by_socket("spark.raw", "d.sock") as server:
        with Machine("-accel", "soft", "-m", "32M", "-drive", f"file=nbd:unix:{path('d.sock')},format=raw") as machine:
            machine.wait_serial("spark> ")
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            expect("running" in machine.monitor.run("info status"), "it goes on without its disk")


def read_only_exports():
    with by_socket("e.raw", "e.sock", "--read-only"):
        url = f"nbd:unix:{path('e.sock')}"
        run(TOOL, "read", url, "out")
        done = subprocess.run([HEARTH, "-S", "-accel", "soft", "-display", "none", "-drive",
                               f"file={url},format=raw,readonly=off"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        expect(done.returncode == 1 and b"read only" in done.stdout, done.stdout)


def refused(url, text):
    done = subprocess.run([HEARTH, "-S", "-accel", "soft", "-display", "none", "-drive", f"file={url},format=raw"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    expect(done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1, f"{url}: {done.stderr}")


def servers_that_are_none():
    if "libnbd was not there" in run(HEARTH, "-version"):
        raise Skip("hearth was built without libnbd (libnbd-dev)")
    refused(f"nbd:unix:{path('nothing')}", "No such file")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    refused(f"nbd:127.0.0.1:{port}", "refused")
    with socket.create_server(("127.0.0.1", 0)) as chatty:
        def talk():
            peer = chatty.accept()[0]
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
            peer.close()
        threading.Thread(target=talk, daemon=True).start()
        refused(f"nbd:127.0.0.1:{chatty.getsockname()[1]}", "nbd:127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused(f"nbd:127.0.0.1:{silent.getsockname()[1]}", "does not answer")


main([random_requests_by_every_name, tcp, qcow2_behind_it, a_machine_boots_from_it, read_only_exports, servers_that_are_none])
