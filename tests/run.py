#!/usr/bin/env python3
"""Runs all tests, two at a time, and counts what they say in TAP ("ok 1 - name", "not ok", "ok # SKIP why").

A job is a command with a time limit. One that ends with an error, runs into its limit or says nothing at all counts as
one failure more, whatever it printed before. FULL=1 in the environment adds what takes long: spark's planted faults, each
of which some test has to notice, and the panic screens in Bochs.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from glob import glob

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TAP = re.compile(r"^\s*(not ok|ok)\b\s*\d*\s*-?\s*(.*)$")
SKIP = re.compile(r"#\s*skip\S*\s*(.*)$", re.IGNORECASE)


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures, self.bad_jobs = [], []
        self.lock = threading.Lock()


class Job:
    def __init__(self, name, command, limit=120):
        self.name, self.command, self.limit = name, command, limit


def jobs():
    """The slow ones first, so that the two cores end together."""
    found = []
    for script in sorted(glob("tests/lab/*_test.py")):
        found.append(Job(script, [sys.executable, script], 900))
    for script in sorted(glob("tests/system/*_test.py") + glob("tests/guests/*_test.py")):
        found.append(Job(script, [sys.executable, script], 900))
    found.append(Job("tests/suites/suites_test.py", [sys.executable, "tests/suites/suites_test.py"], 7200))
    for script in sorted(glob("tests/system/spark_*.py")):
        machines = {"spark_compare.py": ("hearth",), "spark_build.py": ("qemu",), "spark_boot.py": ("qemu", "hearth", "bochs"),
                    "spark_shell.py": ("qemu", "hearth", "bochs")}.get(os.path.basename(script), ("qemu", "hearth"))
        for machine in machines:
            found.append(Job(f"{script} in {machine}", [sys.executable, script, "--machine", machine], 900))
    if os.environ.get("FULL"):
        found.insert(0, Job("tests/spark/mutants.py", [sys.executable, "tests/spark/mutants.py"], 1800))
        found.append(Job("spark_panic in bochs", [sys.executable, "tests/system/spark_panic.py", "--machine", "bochs"], 1800))
    for program in sorted(glob("build/tests/*_test")):
        found.append(Job(program, [program], 300))
    for program in ("build/tests/cpu_test", "build/tests/soft_test"):
        found.append(Job(f"{program}, translated", [program, "--translate", "1"], 300))
    for program in sorted(glob("build/san/tests/*_test")):
        found.append(Job(program, [program], 600))
    found.append(Job("include directions", [sys.executable, "tests/tools/check_includes.py"]))
    found.append(Job("repository words", [sys.executable, "tests/tools/check_words.py"]))
    return found


def count(job, text, totals):
    said = 0
    for line in text.splitlines():
        match = TAP.match(line)
        if not match:
            continue
        said += 1
        skip = SKIP.search(match.group(2))
        if match.group(1) == "not ok":
            totals.failed += 1
            totals.failures.append(f"{job.name}: {match.group(2)}")
        elif skip:
            totals.skipped += 1
            print(f"skipped: {match.group(2).split('#')[0].strip()}: {skip.group(1)}", flush=True)
        else:
            totals.passed += 1
    return said


def end_group(process):
    """A job and all that it started; who does not go when told is killed."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run(job, totals):
    started = time.monotonic()
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", PYTHONDONTWRITEBYTECODE="1")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=environment, start_new_session=True)
        late = False
        try:
            process.wait(job.limit)
        except subprocess.TimeoutExpired:
            late = True
            end_group(process)
        output.seek(0)
        text = output.read().decode(errors="replace")
    with totals.lock:
        failed_before, failures_before = totals.failed, len(totals.failures)
        said = count(job, text, totals)
        if late or not said or (process.returncode and totals.failed == failed_before):
            why = f"not done within {job.limit} seconds" if late else f"ended with status {process.returncode}"
            totals.failed += 1
            totals.failures.append(f"{job.name}: {why}" + ("" if said else ", said nothing"))
        bad = totals.failed > failed_before
        print(f"{'FAILED' if bad else 'ok'}  {job.name}  ({said} tests, {time.monotonic() - started:.1f} s)", flush=True)
        if bad:
            totals.bad_jobs.append((job, totals.failed - failed_before, totals.failures[failures_before:]))
            print(text, flush=True)


def run_again(totals):
    """A job that failed beside another one has a second try by itself, said aloud: some are time-sensitive on a machine that
    is loaded. What fails twice has failed."""
    for job, failed, failures in list(totals.bad_jobs):
        print(f"again, alone: {job.name}", flush=True)
        totals.failed -= failed
        totals.failures = [failure for failure in totals.failures if failure not in failures]
        run(job, totals)


def build(totals):
    """Everything is built before anything runs; a part that does not build is a failure and the rest goes on."""
    parallel = f"-j{os.cpu_count() or 2}"
    steps = [("build", ["make", "-k", "-s", parallel, "all", "unit"]),
             ("build with sanitizers", ["make", "-k", "-s", parallel, "SAN=1", "build/san/hearth", "unit"])]
    if has("clang"):
        steps.append(("build with clang", ["make", "-k", "-s", parallel, "CC=clang", "BUILD=build/clang",
                                           "build/clang/hearth"]))
    else:
        skip(totals, "build with clang", "clang is not installed")
    if has("clang-format") and has("git") and os.path.isdir(".git"):
        steps.append(("code format", ["make", "-s", "check-format"]))
    else:
        skip(totals, "code format", "clang-format or git is not installed, or this is no git checkout")
    for name, command in steps:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            totals.failed += 1
            totals.failures.append(f"{name}: {' '.join(command)}")
            print(f"FAILED  {name}\n{done.stdout.decode(errors='replace')}", flush=True)
        else:
            totals.passed += 1
            print(f"ok  {name}", flush=True)


def has(program):
    return subprocess.run(["sh", "-c", f"command -v {program}"], stdout=subprocess.DEVNULL).returncode == 0


def skip(totals, name, why):
    totals.skipped += 1
    print(f"skipped: {name}: {why}", flush=True)


def main():
    os.chdir(ROOT)
    totals = Totals()
    words = sys.argv[1:]
    build(totals)
    chosen = [job for job in jobs() if not words or any(word in job.name for word in words)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda job: run(job, totals), chosen))
    run_again(totals)
    for failure in totals.failures:
        print(f"failed: {failure}")
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped", flush=True)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
