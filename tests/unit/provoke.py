# SPDX-License-Identifier: GPL-2.0-or-later
"""A real sluiced to which things happen that make it say what is wrong: it finds deployments of
before, runs on a machine that lacks something, has calls that fail (faults.c)."""

import atexit
import contextlib
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

from counted import TOP, check, until
import sentences

BIN = os.environ.get("SLUICE_BIN", TOP + "/build")


def record(name, **other):
    """What an earlier daemon would have left of a deployment, as JSON."""
    sources = other.pop("sources", ["file:/nosuch/image"])
    return json.dumps({
        "version": 1, "name": name, "phase": "open", "uuid": "0123456789abcdef" * 2,
        "paths": [{"uri": s, "hint": "", "stamp": "", "id": "", "known": True} for s in sources],
        "active": 0, "local": "/dev/nosuch-" + name, "local_id": "",
        "image": {"bytes": 1 << 20, "logical_block": 512, "digest_kind": 0, "digest": "0" * 64,
                  "name": "", "id": ""},
        "namespace_bytes": 1 << 20, "deadline_ms": 0, "min_rate": 0, "max_rate": 0,
        "paused": False, "failed": "", "exports": [], **other})


def says(row, text):
    """Whether the sentence of the table is in what was said."""
    check(f"said: {row}", re.search(sentences.pattern(row), text), text[-500:])


class Daemon:
    def __init__(self, directory):
        self.directory, self.state = directory, directory + "/state"
        self.sock, self.log_file = directory + "/sock", directory + "/log"
        self.process = None

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def logs(self, row):
        """Waits until the sentence is in the log."""
        until(lambda: re.search(sentences.pattern(row), self.log()) or
              self.process.poll() is not None)
        says(row, self.log())

    def fail(self, *rules):
        """These calls fail from now on; see faults.c."""
        with open(self.directory + "/rules.new", "w", encoding="ascii") as file:
            file.write("".join(rule + "\n" for rule in rules))
        os.rename(self.directory + "/rules.new", self.directory + "/rules")

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(120)
        s.connect(self.sock)
        return s

    def send(self, method, **parameters):
        """A connection on which a call is under way."""
        s = self.connect()
        s.sendall(json.dumps({"method": "org.sluice." + method,
                              "parameters": parameters}).encode() + b"\0")
        return s

    def call(self, method, **parameters):
        """The answer; its sentence if it is an error, those of findings."""
        with self.send(method, **parameters) as s:
            answer = b""
            while not answer.endswith(b"\0"):
                part = s.recv(65536)
                if not part:
                    return ""
                answer += part
        told = json.loads(answer[:-1])["parameters"]
        return told.get("message") or "\n".join(f["message"] for f in told.get("findings", [])) or \
            json.dumps(told)


@functools.cache
def faults():
    """The library; guests bring it along."""
    if "SLUICE_KO" in os.environ:
        return BIN + "/tests/faults.so"
    directory = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, directory)
    library = directory + "/faults.so"
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-fPIC", "-shared", "-o", library,
                    TOP + "/tests/unit/faults.c"], check=True)
    return library


@contextlib.contextmanager
def daemon(*options, records=(), files=(), around=(), machine="", rules=None, up=True, ends=0):
    """One that finds these records and files, (name, text), in its state directory, STATE among
    the options; behind the words @around; in a machine of its own, whose mounts the shell's
    words @machine make; with calls that fail by the @rules. It is to come up, and to end with
    that status when it is told to."""
    with tempfile.TemporaryDirectory() as directory:
        d = Daemon(directory)
        os.mkdir(d.state)
        for name, text in [*((json.loads(r)["name"] + ".json", r) for r in records), *files]:
            with open(f"{d.state}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(file.name, 0o600)
        words = [*around, BIN + "/sluiced", "--state-dir", d.state, "--socket", d.sock,
                 *(option.replace("STATE", d.state) for option in options)]
        if machine:
            words = ["unshare", "-m", "sh", "-ec", machine + '\nexec "$@"', "sh", *words]
        more = dict(os.environ)
        if rules is not None:
            d.fail(*rules)
            more.update(SLUICE_FAULTS=directory + "/rules", LD_PRELOAD=faults())
        with open(d.log_file, "wb") as log:
            d.process = subprocess.Popen(words, stderr=log, env=more)
        try:
            if up:
                check("the daemon is up", until(lambda: os.path.exists(d.sock) or
                                                d.process.poll() is not None))
            yield d
            d.process.terminate()
            status = d.process.wait(60)
            check(f"the daemon ends with {ends}", status == ends, f"{status}: {d.log()[-500:]}")
        finally:
            d.process.kill()
            d.process.wait()
