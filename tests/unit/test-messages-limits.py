#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-messages-limits.py [SLUICECTL]: what a real sluiced says when the kernel gives it no
descriptors, or refuses what it does not refuse on a good machine. Run as root. Last line:
"N passed, N failed"."""

import errno
import signal
import socket
import subprocess
import time

from counted import check, finish, until
from provoke import daemon, says


def few_descriptors():
    """Ever fewer, so that each of the first steps is the one too many."""
    said, limit = "", 4
    while "cannot be made" not in said and limit < 16:
        with daemon(around=["prlimit", f"--nofile={limit}"], up=False, ends=1) as d:
            until(lambda: d.process.poll() is not None)
            said += d.log()
        limit += 1
    says("Signals and jobs cannot be set up: ....", said)
    says("The state in ... cannot be read: ....", said)


def no_more_descriptors():
    with daemon() as d:
        subprocess.run(["prlimit", f"--pid={d.process.pid}", "--nofile=3:4096"], check=True)
        # The kernel took note of the limit when it was asked for the first.
        waiting = [d.connect() for _ in range(2)]
        d.logs("The control socket accepts nobody: ....")
        subprocess.run(["prlimit", f"--pid={d.process.pid}", "--nofile=4096:4096"], check=True)
        check("the daemon answers then", "version" in d.call("Version"))
        for one in waiting:
            one.close()


def refused_calls():
    with daemon(rules=[]) as d:
        d.fail(f"read anon_inode:*eventfd* {errno.EIO}")
        d.call("Check", local="/dev/nosuch")
        d.logs("The event counter of jobs fails: ....")
        d.fail()
    with daemon(rules=[], ends=1) as d:
        d.fail(f"io_uring_wait * {errno.EIO}")
        d.connect().close()
        d.logs("The event loop failed: ....")
    with daemon(rules=["small_ring * 1", f"io_uring_submit * {errno.EIO}"], up=False,
                ends=-signal.SIGABRT) as d:
        until(lambda: d.process.poll() is not None)
        d.logs("The kernel refuses the ring: ....")


def hanging_job():
    """A server that falls silent in its greeting: a stop does not wait for what it keeps."""
    with socket.create_server(("127.0.0.1", 0)) as server, daemon() as d:
        with d.send("Check", source="nbd://127.0.0.1:%u/" % server.getsockname()[1]):
            with server.accept()[0] as silent:
                # Who hears part of it after it has connected waits for longer than a stop does.
                for part in b"NBDMAGIC":
                    silent.sendall(bytes([part]))
                    time.sleep(0.1)
                d.process.terminate()
                d.logs("Not everything ended in time; the kernel ends the rest.")


few_descriptors()
no_more_descriptors()
refused_calls()
hanging_job()
finish()
