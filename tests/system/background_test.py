#!/usr/bin/env python3
"""-daemonize and -pidfile, completion, the man pages, make install and the package."""
import os
import shutil
import signal
import subprocess
import tempfile

from hearth import HEARTH, ROOT, Monitor, Skip, expect, image, main, wait_for


def run(*arguments, **options):
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=600, **options)


def goes_into_the_background():
    with tempfile.TemporaryDirectory() as folder:
        pidfile, path = os.path.join(folder, "pid"), os.path.join(folder, "monitor")
        line = [HEARTH, "-daemonize", "-pidfile", pidfile, "-accel", "soft", "-m", "32M", "-fda", image("spark.img"),
                "-monitor", f"unix:{path},server=on,wait=off", "-serial", f"file:{folder}/serial"]
        try:
            done = run(*line)
            expect(done.returncode == 0, done.stderr)
            # The parent comes back when everything is set up: both files are there.
            expect(os.stat(pidfile).st_mode & 0o777 == 0o600, "the pidfile's mode")
            pid = int(open(pidfile, encoding="ascii").read())
            monitor = Monitor(path)
            wait_for(lambda: "spark> " in open(f"{folder}/serial", encoding="latin-1").read(), "spark's prompt")
            expect(monitor.run("info status") == "VM status: running", "it runs")
            expect(os.readlink(f"/proc/{pid}/fd/0") == "/dev/null" and os.getsid(pid) == pid, "detached")
            second = run(HEARTH, "-daemonize", "-pidfile", pidfile, "-accel", "soft")
            expect(second.returncode == 1 and "another process has it" in second.stderr, second.stderr)
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not os.path.exists(pidfile), "the pidfile to go")
            expect(not os.path.exists(path), "and the socket")
        finally:
            if os.path.exists(pidfile):
                os.kill(int(open(pidfile, encoding="ascii").read()), signal.SIGKILL)


def errors_reach_the_terminal():
    with tempfile.TemporaryDirectory() as folder:
        pidfile = os.path.join(folder, "pid")
        done = run(HEARTH, "-daemonize", "-pidfile", pidfile, "-accel", "soft", "-hda", "/nonexistent")
        expect(done.returncode == 1 and "/nonexistent" in done.stderr, done.stderr)
        expect(not os.path.exists(pidfile), "no pidfile is left")
        done = run(HEARTH, "-pidfile", "/nonexistent/pid", "-accel", "soft", "-S", "-display", "none")
        expect(done.returncode == 1 and "cannot create PID file" in done.stderr, done.stderr)
        done = run(HEARTH, "-daemonize", "-nographic")
        expect(done.returncode == 1 and "needs a terminal" in done.stderr, done.stderr)


def completion_knows_the_options():
    script = run(HEARTH, "-completion", "bash").stdout
    asked = run("bash", "-c", script + 'COMP_WORDS=(hearth -accel s) COMP_CWORD=2; _hearth; echo "${COMPREPLY[@]}"\n'
                'COMP_WORDS=(hearth -no-re) COMP_CWORD=1; _hearth; echo "${COMPREPLY[@]}"')
    expect(asked.stdout.split("\n")[:2] == ["soft", "-no-reboot"], asked.stdout + asked.stderr)
    expect(run(HEARTH, "-completion", "tcsh").returncode == 1, "another shell")
    for shell, line in (("zsh", "_arguments"), ("fish", "complete -c hearth -o accel")):
        script = run(HEARTH, "-completion", shell).stdout
        expect(line in script, shell)
        if shutil.which(shell):
            with tempfile.NamedTemporaryFile("w", suffix="." + shell) as file:
                file.write(script)
                file.flush()
                checked = run(shell, "-n", file.name)
                expect(checked.returncode == 0, checked.stderr)


def what_is_installed_is_whole():
    with tempfile.TemporaryDirectory() as folder:
        done = run("make", "-s", "install", f"DESTDIR={folder}", "PREFIX=/usr", cwd=ROOT)
        expect(done.returncode == 0, done.stderr)
        for path in ("bin/hearth", "share/man/man1/hearth.1", "share/man/man7/hearth-monitor.7", "share/hearth/spark.img",
                     "share/bash-completion/completions/hearth", "lib/systemd/system/hearth@.service"):
            expect(os.path.getsize(os.path.join(folder, "usr", path)), path)
        page = open(os.path.join(folder, "usr/share/man/man1/hearth.1"), encoding="utf-8").read()
        expect(".BR \\-accel" in page and "@" not in page, "the options are in the page")
        page = open(os.path.join(folder, "usr/share/man/man7/hearth-monitor.7"), encoding="utf-8").read()
        expect(".B sendkey KEYS" in page and ".B info registers" in page, "the commands are in the page")
        unit = open(os.path.join(folder, "usr/lib/systemd/system/hearth@.service"), encoding="utf-8").read()
        expect("ExecStart=/usr/bin/hearth" in unit, unit)


def a_package_is_made():
    if not shutil.which("dpkg-deb"):
        raise Skip("dpkg-deb is not installed")
    done = run("make", "-s", "deb", cwd=ROOT)
    expect(done.returncode == 0, done.stdout + done.stderr)
    package = [name for name in os.listdir(os.path.join(ROOT, "build")) if name.endswith(".deb")][0]
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-x", os.path.join(ROOT, "build", package), folder)
        version = run(os.path.join(folder, "usr/bin/hearth"), "-version")
        expect(version.stdout.startswith("hearth version"), version.stderr)
        depends = run("dpkg-deb", "-f", os.path.join(ROOT, "build", package), "Depends").stdout
        expect("libzydis" in depends.lower() and "seabios" in depends, depends)


main([goes_into_the_background, errors_reach_the_terminal, completion_knows_the_options, what_is_installed_is_whole,
      a_package_is_made])
