#!/usr/bin/env python3
"""-rtc and -fw_cfg, seen as the guest sees them: through the ports, by the monitor. HPET on and off."""
import calendar
import os
import re
import subprocess
import tempfile
import time

from hearth import HEARTH, Machine, expect, main

SOFT = ("-S", "-accel", "soft", "-m", "16M", "-display", "none")


def cell(machine, index):
    machine.monitor.run(f"o/b 0x70 {index}")
    text = machine.monitor.run("i/b 0x71")
    return int(re.search(r"= *0x([0-9a-f]+)", text).group(1), 16)


def clock(machine):
    """Seconds since 1970 by the clock's cells, which are BCD."""
    fields = [cell(machine, index) for index in (0x32, 9, 8, 7, 4, 2, 0)]
    century, year, month, day, hour, minute, second = [10 * (field >> 4) + (field & 15) for field in fields]
    return calendar.timegm((100 * century + year, month, day, hour, minute, second))


def near(found, wanted, what):
    expect(0 <= found - wanted < 60, f"{what}: {found} where {wanted} was to be")


def the_clock_starts_where_it_is_told():
    with Machine(*SOFT, "-rtc", "base=2006-06-17T16:01:21") as machine:
        near(clock(machine), calendar.timegm((2006, 6, 17, 16, 1, 21)), "a date and a time")
    with Machine(*SOFT, "-rtc", "base=1999-12-31,driftfix=slew") as machine:
        near(clock(machine), calendar.timegm((1999, 12, 31, 0, 0, 0)), "a date")
    now = int(time.time())
    with Machine(*SOFT, "-rtc", "base=utc,clock=host") as machine:
        near(clock(machine), now - 1, "UTC")
    os.environ["TZ"] = "XYZ-05:30"
    now = int(time.time())
    with Machine(*SOFT, "-rtc", "base=localtime") as machine:
        near(clock(machine), now - 1 + 19800, "local time")
    del os.environ["TZ"]


def paused(choice):
    with Machine(*SOFT, "-rtc", "base=2006-06-17," + choice) as machine:
        machine.monitor.run("cont")
        machine.monitor.run("stop")
        before = clock(machine)
        time.sleep(2.1)
        machine.monitor.run("cont")
        machine.monitor.run("stop")
        return clock(machine) - before


def the_clock_goes_on_in_a_pause():
    passed = paused("clock=host")
    expect(passed >= 2, f"the clock went on for {passed} s")
    passed = paused("clock=vm")
    expect(passed <= 1, f"the clock of clock=vm went on for {passed} s")


def item(machine, name):
    """Reads fw_cfg's directory, then the file."""
    def select(key):
        machine.monitor.run(f"o/w 0x510 {key}")

    def take(count):
        return bytes(int(re.search(r"= *0x([0-9a-f]+)", machine.monitor.run("i/b 0x511")).group(1), 16) for _ in range(count))

    select(0x19)
    for _ in range(int.from_bytes(take(4), "big")):
        entry = take(64)
        if entry[8:].split(b"\0")[0].decode() == name:
            select(int.from_bytes(entry[4:6], "big"))
            return take(int.from_bytes(entry[:4], "big"))
    return None


def items_are_handed_over():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0\xff\n")
        file.flush()
        with Machine(*SOFT, "-fw_cfg", "name=opt/org.test/text,string=hello", "-fw_cfg", f"opt/org.test/file,file={file.name}") as machine:
            expect(item(machine, "opt/org.test/text") == b"hello", "a text")
            expect(item(machine, "opt/org.test/file") == b"\0\xff\n", "a file")
            machine.monitor.run("system_reset")
            expect(item(machine, "opt/org.test/text") == b"hello", "after a reset")


BAD = (
    (("-action", "watchdog=bark"), "the watchdog's action is reset"),
    (("-watchdog-action", "bark"), "the watchdog's action is reset"),
    (("-action", "reboot=maybe"), "reboot is reset or shutdown"),
    (("-rtc", "base=yesterday"), "invalid datetime format"),
    (("-rtc", "clock=atomic"), "invalid option value 'atomic'"),
    (("-rtc", "driftfix=yes"), "invalid option value 'yes'"),
    (("-rtc", "bias=1"), "bias"),
    (("-fw_cfg", "name=opt/a"), "it needs name="),
    (("-fw_cfg", "name=opt/a,string=b,file=/dev/null"), "mutually exclusive"),
    (("-fw_cfg", "name=opt/a,file=/nonexistent"), "can't load /nonexistent: No such file or directory"),
    (("-fw_cfg", "name=opt/a,file=/"), "can't load /: Is a directory"),
    (("-fw_cfg", "name=opt/a,file=/dev/zero"), "at most 256 MiB"),
    (("-fw_cfg", "name=opt/" + 60 * "a" + ",string=b"), "name too long (max. 55 char)"),
    (("-fw_cfg", "name=opt/a,string=b", "-fw_cfg", "name=opt/a,string=c"), "duplicate fw_cfg file name: opt/a"),
)


def nonsense_is_refused():
    for options, text in BAD:
        done = subprocess.run([HEARTH, *SOFT, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        expect(done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1, f"{options}: {done.stderr}")


def the_event_timer_can_be_left_out():
    with Machine(*SOFT) as machine:
        expect("hpet" in machine.monitor.run("info mtree"), "it is there")
    for option in (("-no-hpet",), ("-machine", "pc,hpet=off")):
        with Machine(*SOFT, *option) as machine:
            expect("hpet" not in machine.monitor.run("info mtree"), option)


main([the_clock_starts_where_it_is_told, the_clock_goes_on_in_a_pause, items_are_handed_over, nonsense_is_refused,
      the_event_timer_can_be_left_out])
