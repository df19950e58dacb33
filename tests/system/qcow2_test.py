#!/usr/bin/env python3
"""qcow2 images between hearth and QEMU's tools: what qemu-img makes is read and written right, what hearth makes and writes
qemu-img finds in order, also when hearth is killed. FULL=1 tries more of everything."""
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from hearth import ROOT, Machine, Skip, expect, image, main

FULL = bool(os.environ.get("FULL"))
SAN = os.path.join(ROOT, "build", "san", "tests", "block_tool")
TOOL = SAN if os.path.exists(SAN) else os.path.join(ROOT, "build", "tests", "block_tool")
FOLDER = tempfile.TemporaryDirectory(prefix="hearth-test-")
MIB = 1 << 20
REQUESTS = 1500 if FULL else 250


def run(*command, status=0, **environment):
    done = subprocess.run(command, cwd=FOLDER.name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, env=dict(os.environ, **environment), check=False)
    text = done.stdout.decode(errors="replace")
    expect(status is None or done.returncode == status, f"{' '.join(command)}: status {done.returncode}\n{text[-2000:]}")
    return done.returncode, text


def needs_qemu():
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        raise Skip("no qemu-img and qemu-io (qemu-utils)")


def path(name):
    return os.path.join(FOLDER.name, name)


def make_raw(name, size, seed=1):
    """Some data, much of it easy to compress, and holes."""
    generator = random.Random(seed)
    with open(path(name), "wb") as file:
        for _ in range(60):
            file.seek(generator.randrange(size // 512) * 512)
            file.write(generator.randbytes(generator.randrange(1, 40)) * 512 if generator.random() < 0.5
                       else generator.randbytes(8192))
        file.truncate(size)


def fuzz(name, cluster=65536, seeds=(1, 2), count=REQUESTS, **environment):
    """Random requests beside a model, then qemu-img's opinion."""
    for seed in seeds:
        run(TOOL, "fuzz", name, "model", str(seed), str(count), CLUSTER=str(cluster), **environment)
    run("qemu-img", "check", "-q", name)
    run("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", name, "model")


def fresh(*options, size=32 * MIB, cluster=65536):
    for name in ("f.qcow2", "model"):
        if os.path.exists(path(name)):
            os.remove(path(name))
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", ",".join((f"cluster_size={cluster}",) + options), "f.qcow2", str(size))
    with open(path("model"), "wb") as file:
        file.truncate(size)
    fuzz("f.qcow2", cluster)


def images_that_qemu_makes():
    needs_qemu()
    fresh(cluster=512, size=12 * MIB)  # the refcount table has to grow
    fresh("compat=0.10", cluster=4096)
    fresh()
    fresh("lazy_refcounts=on")
    fresh(cluster=2 * MIB, size=64 * MIB)
    fresh("preallocation=metadata")
    for bits in (1, 2, 8, 32, 64) if FULL else (1, 64):
        fresh(f"refcount_bits={bits}", cluster=4096)
    if FULL:
        fresh("compat=0.10", cluster=512, size=12 * MIB)
        fresh("preallocation=full", cluster=4096)
        fresh("preallocation=falloc")


def images_that_hearth_makes():
    needs_qemu()
    for cluster, size in ((512, 5 * MIB), (65536, 32 * MIB + 512), (2 * MIB, 48 * MIB)):
        for name in ("h.qcow2", "model"):
            if os.path.exists(path(name)):
                os.remove(path(name))
        run(TOOL, "create", "qcow2", "h.qcow2", str(size), str(cluster))
        run("qemu-img", "check", "-q", "h.qcow2")
        with open(path("model"), "wb") as file:
            file.truncate(size)
        fuzz("h.qcow2", cluster)
    make_raw("base.raw", 8 * MIB)
    run(TOOL, "create", "qcow2", "over.qcow2", str(8 * MIB), "65536", "base.raw", "raw")
    _, text = run("qemu-img", "info", "over.qcow2")
    expect("backing file: base.raw" in text and "backing file format: raw" in text, text)
    run("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", "over.qcow2", "base.raw")
    code, text = run(TOOL, "create", "qcow2", "over.qcow2", "1048576", status=None)
    expect(code == 1 and "is there already" in text, text)


def compressed_clusters():
    needs_qemu()
    make_raw("base.raw", 16 * MIB)
    for options, cluster in (("cluster_size=65536", 65536), ("cluster_size=512", 512), ("cluster_size=2M", 2 * MIB),
                             ("compression_type=zstd", 65536)):
        run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, "base.raw", "c.qcow2")
        run(TOOL, "read", "c.qcow2", "out.raw")
        run("cmp", "out.raw", "base.raw")
        shutil.copy(path("base.raw"), path("model"))
        fuzz("c.qcow2", cluster)


def backing_files():
    needs_qemu()
    make_raw("base.raw", 16 * MIB)
    os.makedirs(path("sub"), exist_ok=True)
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "base.raw", "sub/a.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "a.qcow2", "-F", "qcow2", "sub/b.qcow2")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 0xaa 1M 3M", "-c", "write -z 8M 1M", "-c", "discard 10M 1M", "sub/b.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=1M", "-b", "sub/b.qcow2", "-F", "qcow2", "top.qcow2", "20M")
    run("qemu-img", "convert", "-O", "raw", "top.qcow2", "model")
    run(TOOL, "read", "top.qcow2", "out.raw")
    run("cmp", "out.raw", "model")
    fuzz("top.qcow2", MIB)
    run("qemu-img", "check", "-q", "sub/b.qcow2")
    # A circle, and one without an end.
    run("qemu-img", "create", "-q", "-f", "qcow2", "x.qcow2", "1M")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "x.qcow2", "-F", "qcow2", "y.qcow2")
    run("qemu-img", "rebase", "-u", "-b", "y.qcow2", "-F", "qcow2", "x.qcow2")
    code, text = run(TOOL, "read", "y.qcow2", "out.raw", status=None)
    expect(code == 1 and "its own backing file" in text, text)
    run("qemu-img", "rebase", "-u", "-b", "absent.qcow2", "-F", "qcow2", "x.qcow2")
    code, text = run(TOOL, "read", "y.qcow2", "out.raw", status=None)
    expect(code == 1 and "absent.qcow2" in text and "No such file" in text, text)


def snapshots_keep_what_they_have():
    needs_qemu()
    fresh(size=16 * MIB)
    run("qemu-img", "snapshot", "-c", "one", "f.qcow2")
    shutil.copy(path("model"), path("one.raw"))
    fuzz("f.qcow2", seeds=(3,))
    run("qemu-img", "snapshot", "-c", "two", "f.qcow2")
    shutil.copy(path("model"), path("two.raw"))
    fuzz("f.qcow2", seeds=(4,))
    for name in ("one", "two"):
        run("qemu-img", "convert", "-l", name, "-O", "raw", "f.qcow2", "out.raw")
        run("cmp", "out.raw", f"{name}.raw")


def an_image_left_dirty_is_mended():
    needs_qemu()
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on", "d.qcow2", "16M")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 5M", "-c", "write -P 2 9M 1M", "-c", "abort", "d.qcow2", status=None)
    code, text = run("qemu-img", "check", "d.qcow2", status=None)
    expect(code == 2 and "refcount=0 reference=1" in text, "the counts should be wrong here")
    run("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", "d.qcow2", "model")
    fuzz("d.qcow2")


def killed_while_writing():
    needs_qemu()
    generator = random.Random(5)
    for attempt in range(20 if FULL else 4):
        cluster = (4096, 65536)[attempt % 2]
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"cluster_size={cluster}", "k.qcow2", "128M")
        if os.path.exists(path("state")):
            os.remove(path("state"))
        for _ in range(2):
            process = subprocess.Popen([TOOL, "crash", "k.qcow2", "state", str(attempt)], cwd=FOLDER.name)
            time.sleep(generator.uniform(0.2, 1.5))
            expect(process.poll() is None, "it should write until it is killed")
            process.send_signal(signal.SIGKILL)
            process.wait()
            code, text = run("qemu-img", "check", "k.qcow2", status=None)
            expect(code in (0, 3), f"qemu-img check: {code}\n{text[-1000:]}")  # 3: leaked clusters alone
            run(TOOL, "verify", "k.qcow2", "state")


def refusals():
    needs_qemu()
    secret = ["--object", "secret,id=s,data=x", "-o", "encrypt.format=luks,encrypt.key-secret=s"]
    run("qemu-img", "create", "-q", "-f", "qcow2", *secret, "e.qcow2", "1M")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=data.raw", "ext.qcow2", "1M")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", "sub.qcow2", "1M")
    with open(path("text.qcow2"), "wb") as file:
        file.write(b"no such thing" * 1000)
    cases = {"e.qcow2": "encrypted", "ext.qcow2": "external data file", "sub.qcow2": "extended L2 entries",
             "text.qcow2": None}
    for name, word in cases.items():
        code, text = run(TOOL, "read", name, "out.raw", status=None)
        expect(word is None or (code == 1 and word in text and name in text), f"{name}: {text}")


def spark_boots_from_a_compressed_one():
    needs_qemu()
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", image("spark-disk.img"), "spark.qcow2")
    before = open(path("spark.qcow2"), "rb").read()
    with Machine("-accel", "soft", "-drive", f"file={path('spark.qcow2')},snapshot=on") as machine:
        machine.wait_serial("spark> ")
        expect("spark.qcow2 (qcow2)" in machine.monitor.run("info block"), "the format is found out")
    with Machine("-accel", "soft", "-snapshot", "-hda", path("spark.qcow2")) as machine:
        machine.wait_serial("spark> ")
    expect(open(path("spark.qcow2"), "rb").read() == before, "a snapshot leaves the image alone")


def snapshot_forgets():
    make_raw("model", 8 * MIB)
    shutil.copy(path("model"), path("s.raw"))
    before = open(path("s.raw"), "rb").read()
    run(TOOL, "fuzz", "s.raw", "model", "1", "200", FORGET="1")
    expect(open(path("s.raw"), "rb").read() == before, "the image is as it was")


main([images_that_qemu_makes, images_that_hearth_makes, compressed_clusters, backing_files, snapshots_keep_what_they_have,
      an_image_left_dirty_is_mended, killed_while_writing, refusals, spark_boots_from_a_compressed_one, snapshot_forgets])
