#!/usr/bin/env python3
"""Runs each libFuzzer target of build/fuzz (make fuzz) for some seconds: run.py [SECONDS [NAME...]]. Prints TAP. What is found
is kept in .cache/fuzz/NAME; an input that shows a fault is left beside it, and running the target on that file shows it again."""
import glob
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(target, seconds):
    name = os.path.basename(target)
    folder = os.path.join(ROOT, ".cache", "fuzz", name)
    os.makedirs(folder, exist_ok=True)
    done = subprocess.run([target, f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=2048",
                           f"-artifact_prefix={folder}.", folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds + 120)
    lines = done.stdout.decode(errors="replace").splitlines()
    return done.returncode == 0, name, lines


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    targets = sorted(glob.glob(os.path.join(ROOT, "build", "fuzz", "*_fuzz")))
    targets = [target for target in targets if not sys.argv[2:] or any(word in target for word in sys.argv[2:])]
    print(f"1..{len(targets)}")
    failed = not targets
    for number, target in enumerate(targets, 1):
        good, name, lines = run(target, seconds)
        failed = failed or not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}: {lines[-1] if good and lines else 'a fault'}")
        for line in lines[-60:] if not good else ():
            print(f"# {line}")
    return failed


sys.exit(main())
