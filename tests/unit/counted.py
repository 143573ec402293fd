# SPDX-License-Identifier: GPL-2.0-or-later
"""What the unit tests in Python share: checks that are counted, a real sluiced and a fake one."""

import contextlib
import os
import subprocess
import sys
import time

TOP = os.path.realpath(os.path.dirname(__file__) + "/../..")
CTL = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else TOP + "/build/sluicectl")
passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {name} {detail}", flush=True)


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


def until(condition):
    """Waits for it, for as long as it may take a busy machine."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def sluiced(tmp, *options):
    """A daemon with its state in the directory; gives the path of its socket."""
    sock = tmp + "/sock"
    with subprocess.Popen([TOP + "/build/sluiced", "--state-dir", tmp + "/state", "--socket", sock,
                           *options], stderr=subprocess.DEVNULL) as daemon:
        try:
            check("the daemon is up", until(lambda: os.path.exists(sock)))
            yield sock
        finally:
            daemon.terminate()
            check("the daemon ends", daemon.wait(60) == 0)


@contextlib.contextmanager
def fake_sluiced(tmp, script):
    """One that answers by the script, and notes calls in the directory's file "calls"."""
    program, sock = tmp + "/fake-sluiced", tmp + "/fake"
    if not os.path.exists(program):
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Ilibcommon", "-o", program,
                        "tests/unit/fake-sluiced.c", "libcommon/message.c", "-ljson-c"], cwd=TOP,
                       check=True)
    with open(tmp + "/script", "w", encoding="utf-8") as file:
        file.write(script + "\n")
    with subprocess.Popen([program, sock, tmp + "/script", tmp + "/calls"]) as daemon:
        try:
            check("the fake is up", until(lambda: os.path.exists(sock)))
            yield sock
        finally:
            daemon.kill()
            daemon.wait()
            os.unlink(sock)
