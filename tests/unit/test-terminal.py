#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-terminal.py [SLUICECTL]: watch, doctor and apply --dry-run on a terminal, whose window
changes and where keys are pressed, and the same in a pipe. Last line: "N passed, N failed"."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

import pexpect

from counted import CTL, check, fake_sluiced, finish

COLOUR = re.compile(r"\x1b\[[0-9]*m")
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def deployment(name, state, percent, **more):
    return {"name": name, "state": state, "percent": percent, "error": None, "phase": "image",
            "source": "nbd://storage/debian-12", "local": "/dev/vdb", "rate": 104857600,
            "eta_s": 185, "waiting": 2, "expired": 1, "fetched_bytes": 1048576,
            "demand_bytes": 4096, "device": "/dev/sluice0", "exports": [], **more}


class Daemon:
    """sluicectl, and a daemon that has an answer to each method."""

    def __init__(self, sock):
        self.sock = sock

    def terminal(self, *args, size=(24, 100), **env):
        return pexpect.spawn(CTL, ["--socket", self.sock, *args], dimensions=size, timeout=60,
                             env={"TERM": "xterm", "LC_ALL": "C.UTF-8", **env},
                             encoding="utf-8")

    def pipe(self, *args):
        return subprocess.run([CTL, "--socket", self.sock, *args], capture_output=True,
                              text=True, check=False, env={"TERM": "xterm"}, timeout=60)


@contextlib.contextmanager
def answers(directory, **of):
    script = "\n".join(f"{method} {text if isinstance(text, str) else json.dumps({'parameters': text})}"
                       for method, text in of.items())
    with fake_sluiced(directory, script) as sock:
        yield Daemon(sock)


def end(child):
    """All that it still shows, and its status."""
    child.expect(pexpect.EOF)
    child.close()
    return child.before, child.exitstatus


def screen(text):
    """The lines of the last picture."""
    last = COLOUR.sub("", text.rsplit("\x1b[H", 1)[-1])
    return last.replace("\x1b[K", "").replace("\r", "").split("\n")


def picture(child, columns, pattern):
    """The next whole picture with @pattern that was drawn for @columns."""
    for _ in range(60):
        child.expect_exact("\x1b[J")
        lines = screen(child.before)
        if max(map(len, lines)) < columns and re.search(pattern, "\n".join(lines)):
            return lines
    return []


def watch(directory):
    running = {"deployments": [deployment("web1", "copying", 42.37)]}
    with answers(directory, Status=running) as daemon:
        child = daemon.terminal("watch", size=(24, 120))
        child.expect_exact(ENTER)
        lines = picture(child, 120, "web1")
        wide = lines[0] if lines else ""
        check("a bar, what is local, rate and time to go", re.search(
            r"web1 +copying +\[#+> +\] +42\.3 % +100 MiB/s +3 min 05 s to go", wide), lines)
        check("the phase", any("phase image; 2 requests of the host wait" in x for x in lines), lines)
        child.setwinsize(24, 60)
        lines = picture(child, 60, "web1")
        check("the window was made narrow", lines and len(lines[0]) < len(wide) and
              "[#" in lines[0], lines)
        child.setwinsize(24, 30)
        lines = picture(child, 30, "web1|copying")
        check("and narrower than a bar", lines and "42.3 %" in lines[0] and "[" not in lines[0], lines)
        child.setwinsize(24, 120)
        check("and wide again", wide in picture(child, 120, re.escape(wide)))
        for name, act in (("q", lambda c: c.send("q")), ("Ctrl-C", lambda c: c.sendintr()),
                          ("SIGTERM", lambda c: c.kill(signal.SIGTERM))):
            child = child or daemon.terminal("watch")
            child.expect_exact("web1")
            # Where keys are not echoed, until it ends.
            check(f"{name}: no echo before", child.waitnoecho(10))
            act(child)
            rest, status = end(child)
            check(f"{name} ends it well", status == 0 and rest.endswith(LEAVE), (status, rest[-80:]))
            child = None
        # The terminal is a shell's again, whose keys are echoed.
        shell = pexpect.spawn("bash", ["--norc", "-c", f"{CTL} --socket {daemon.sock} watch; stty -a"],
                              env={"TERM": "xterm", "PATH": os.environ["PATH"]},
                              encoding="utf-8", timeout=60)
        shell.expect_exact("web1")
        shell.send("q")
        rest, status = end(shell)
        check("it leaves the terminal as it was", re.search(r"[^-]icanon", rest) and
              re.search(r"[^-]echo ", rest), rest[-300:])
        child = daemon.terminal("watch", NO_COLOR="1")
        child.expect_exact("web1")
        child.send("q")
        check("NO_COLOR", not COLOUR.search(child.before + end(child)[0]))
    many = {"deployments": [deployment(f"web{i}", "copying", i) for i in range(9)]}
    with answers(directory, Status=many) as daemon:
        child = daemon.terminal("watch", size=(12, 100))
        lines = picture(child, 100, "and")
        check("a low window", len(lines) <= 12 and lines[-2] == "and 6 more", lines)
        child.setwinsize(40, 100)
        check("a higher one", "web8" in "\n".join(picture(child, 100, "web8")))
        child.send("q")
        end(child)


def hung(directory):
    """A daemon that takes calls and says nothing, and one that does not even accept."""
    with answers(directory, Status="@silent", Version="@silent") as daemon:
        for name, act in (("q", lambda c: c.send("q")), ("Ctrl-C", lambda c: c.sendintr()),
                          ("SIGTERM", lambda c: c.kill(signal.SIGTERM))):
            child = daemon.terminal("watch")
            child.expect_exact(ENTER)
            child.waitnoecho(10)
            act(child)
            rest, status = end(child)
            check(f"{name} ends watch while the daemon hangs", status == 0 and
                  rest.endswith(LEAVE), (status, rest[-80:]))
        child = daemon.terminal("watch")
        check("watch says so, and goes on", picture(child, 100, "sluiced did not answer in time") and
              picture(child, 100, "sluiced did not answer in time"))
        child.sendintr()
        end(child)
        check_hung("that says nothing", daemon)
    # Not more than fit into its queue.
    sock = directory + "/full"
    with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as waiting:
        server.bind(sock)
        server.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                peer = waiting.enter_context(socket.socket(socket.AF_UNIX))
                peer.setblocking(False)
                peer.connect(sock)
        check_hung("that accepts nobody", Daemon(sock))


def check_hung(name, daemon):
    done = daemon.pipe("doctor", "-o", "json")
    found = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "daemon"]
    check(f"doctor of a daemon {name}", len(found) == 1 and found[0]["level"] == "warning" and
          found[0]["message"] == "sluiced did not answer in time." and
          "restart sluiced" in found[0]["remedy"], done.stdout)


def events(directory):
    happened = [{"parameters": {"event": kind, "time": "2026-01-02T03:04:05.678Z", "name": "web1",
                                "state": "copying", "error": None, "source": "nbd://a"},
                 "continues": True} for kind in ("deployment", "state", "removed")]
    with answers(directory, Events="@stream " + "@@".join(map(json.dumps, happened))) as daemon:
        done = daemon.pipe("watch")
        check("in a pipe, an object for each event", [json.loads(x)["event"] for x in
              done.stdout.splitlines()] == ["deployment", "state", "removed"], done.stdout)


def doctor(directory):
    with answers(directory, Version={"version": "0.1.0", "abi_version": 1,
                                    "module_abi_version": 1}) as daemon:
        plain = daemon.pipe("doctor")
        check("doctor in a pipe has no colours", plain.stdout and "\x1b" not in plain.stdout)
        shown, status = end(daemon.terminal("doctor"))
        check("its status is the same", status == plain.returncode and status in (0, 18, 19), status)
        check("it says the same in colours", COLOUR.sub("", shown).replace("\r\n", "\n") ==
              plain.stdout, shown)
        worst = {0: "ok", 18: "warning", 19: "error"}[status]
        colour = {"ok": 32, "warning": 33, "error": 31}
        for level in {"ok", worst}:
            check(f"{level} has its colour", f"\x1b[{colour[level]}m{level}" in shown, shown)
        shown, status = end(daemon.terminal("doctor", NO_COLOR="1"))
        check("doctor with NO_COLOR", "\x1b" not in shown and "ok" in shown)
        shown, status = end(daemon.terminal("doctor", TERM="dumb"))
        check("doctor on a dumb terminal", "\x1b" not in shown and "ok" in shown)


def apply(directory):
    with open(directory + "/web1.json", "w", encoding="utf-8") as file:
        json.dump({"name": "web1", "sources": ["nbd://storage/debian-12"], "local": "/dev/vdb",
                   "exports": [{"kind": "pci"}]}, file)
    findings = [{"subject": "disk", "object": "/dev/vdb", "error": None, "message": "It is blank."},
                {"subject": "source", "object": "nbd://storage/debian-12", "message":
                 "Nobody\x1b[31m listens.", "error": "org.sluice.SourceUnreachable"}]
    with answers(directory, Status={"deployments": []}, Check={"findings": findings}) as daemon:
        shown, status = end(daemon.terminal("apply", directory + "/web1.json", "--dry-run"))
        lines = shown.split("\r\n")
        check("a dry run's status is that of what is wrong", status == 5, status)
        check("a dry run says what it would do", "web1: would deploy to /dev/vdb" in lines, lines)
        check("and what it found", "web1: disk /dev/vdb: It is blank." in lines, lines)
        check("and what is wrong, tamed", "\x1b" not in shown and
              "web1: source nbd://storage/debian-12: Nobody?[31m listens." in lines, lines)
        child = daemon.terminal("apply", directory + "/web1.json", "--dry-run", "-o", "json")
        shown, status = end(child)
        check("as JSON", json.loads(shown.splitlines()[0])["dry_run"] is True, shown)
    with open(directory + "/calls", encoding="utf-8") as log:
        called = set(re.findall(r'"org\.sluice\.(\w+)"', log.read()))
    check("a dry run only looks", "Deploy" not in called and "Check" in called, called)


with tempfile.TemporaryDirectory() as tmp:
    watch(tmp)
    hung(tmp)
    events(tmp)
    doctor(tmp)
    apply(tmp)

finish()
