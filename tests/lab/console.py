#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The host machine's serial console: log it, time the boot, run commands.

console.py serve DIR    connect to DIR/serial; append what comes to
                        DIR/console.log, phases of the boot to DIR/phases as
                        lines "BOOT PHASE MILLISECONDS", the time of each to
                        DIR/starts; serve DIR/console
console.py mark DIR     a new boot starts now
console.py run DIR SECONDS COMMAND
                        log in if need be, run COMMAND there, print what it
                        says, end with its status
"""

import os
import re
import selectors
import socket
import sys
import time

# The first three leave a line on any UEFI machine with GRUB and Linux.
PHASES = [
    ("firmware", re.compile(rb"BdsDxe: starting Boot")),
    ("grub", re.compile(rb"Loading Linux ")),
    ("kernel", re.compile(rb"Linux version ")),
    ("mounted", re.compile(rb"EXT4-fs \(nvme0n1p2\): mounted ")),
    ("login", re.compile(rb" login: ")),
]
REBOOT = re.compile(rb"reboot: Restarting system")
PASSWORD = b"sluice"
STATUS = re.compile(rb"@@(\d+)@@")
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Console:
    def __init__(self):
        self.serial = socket.socket(socket.AF_UNIX)
        self.serial.connect("serial")
        self.log = open("console.log", "ab", buffering=0)
        self.phases = open("phases", "a", buffering=1)
        self.boot = 0
        self.mark()

    def mark(self):
        """A new boot starts now."""
        self.boot += 1
        self.start = time.monotonic()
        self.seen = set()
        self.tail = b""
        self.shell = False
        self.output = b""
        print(self.boot, "start", 0, file=self.phases)
        with open("starts", "a") as starts:
            print(self.boot, time.time_ns() // 1000000, file=starts)

    def read(self):
        data = self.serial.recv(65536)
        if not data:
            sys.exit(0)
        self.log.write(data)
        self.output += data
        self.tail += data
        if REBOOT.search(self.tail):
            self.mark()
            return
        for name, pattern in PHASES:
            if name not in self.seen and pattern.search(self.tail):
                self.seen.add(name)
                ms = int((time.monotonic() - self.start) * 1000)
                print(self.boot, name, ms, file=self.phases)
        # No pattern is longer than that.
        self.tail = self.tail[-64:]

    def expect(self, pattern, deadline):
        """The match, with all output before it consumed; None when out of time."""
        while True:
            match = re.search(pattern, self.output)
            if match:
                self.output = self.output[match.end():]
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.serial.settimeout(left)
            try:
                self.read()
            except TimeoutError:
                return None
            finally:
                self.serial.settimeout(None)

    def log_in(self, deadline):
        while "login" not in self.seen:
            if not self.expect(rb" login: ", deadline):
                return False
        self.output = b""
        self.serial.sendall(b"root\n")
        if not self.expect(rb"assword: ", deadline):
            return False
        self.serial.sendall(PASSWORD + b"\n")
        if not self.expect(rb"# ", deadline):
            return False
        # Nothing but what commands print: no echo, no prompt, no printk.
        self.serial.sendall(b"bind 'set enable-bracketed-paste off'; stty -echo -onlcr; "
                            b"PS1=; PS2=; dmesg -n 1; export LC_ALL=C; echo @@0''@@\n")
        self.shell = self.expect(rb"@@0@@\r?\n", deadline) is not None
        return self.shell

    def run(self, seconds, command):
        """Status and output; a status of None: no answer in time."""
        deadline = time.monotonic() + seconds
        if not self.shell and not self.log_in(deadline):
            return None, b"no login\n"
        self.output = b""
        # To the shell a tab is a wish.
        command = command.replace(b"\t", b" ")
        self.serial.sendall(b"{ " + command + b"\n} 2>&1; echo @@$?''@@\n")
        collected = b""
        while True:
            match = STATUS.search(self.output)
            if match:
                collected = self.output[:match.start()]
                return int(match[1]), ESCAPES.sub(b"", collected).replace(b"\r\n", b"\n")
            left = deadline - time.monotonic()
            if left <= 0 or not self.shell:
                return None, self.output
            self.serial.settimeout(left)
            try:
                self.read()
            except TimeoutError:
                pass
            finally:
                self.serial.settimeout(None)

    def answer(self, client):
        request = b""
        while data := client.recv(65536):
            request += data
        verb, _, rest = request.partition(b" ")
        if verb == b"mark":
            self.mark()
            return
        seconds, _, command = rest.partition(b" ")
        status, output = self.run(float(seconds), command)
        client.sendall(output + b"\0%d" % (125 if status is None else status))

    def serve(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("console")
        listener.listen(4)
        selector = selectors.DefaultSelector()
        selector.register(self.serial, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.serial:
                    self.read()
                    continue
                client, _ = listener.accept()
                with client:
                    try:
                        self.answer(client)
                    except OSError:
                        pass


def ask(request):
    """What the server answers."""
    client = socket.socket(socket.AF_UNIX)
    client.connect("console")
    client.sendall(request)
    client.shutdown(socket.SHUT_WR)
    answer = b""
    while data := client.recv(65536):
        answer += data
    return answer


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    # A socket's path is short, a directory's need not be.
    os.chdir(sys.argv[2])
    if len(sys.argv) == 3 and sys.argv[1] == "serve":
        Console().serve()
    elif len(sys.argv) == 3 and sys.argv[1] == "mark":
        ask(b"mark")
    elif len(sys.argv) == 5 and sys.argv[1] == "run":
        answer = ask(b"run " + sys.argv[3].encode() + b" " + sys.argv[4].encode())
        output, _, status = answer.rpartition(b"\0")
        sys.stdout.buffer.write(output)
        sys.stdout.flush()
        sys.exit(int(status or 125))
    else:
        sys.exit(__doc__)


main()
