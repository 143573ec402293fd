#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-messages.py [SLUICECTL]: every message of Documentation/messages.rst is said, with its exit
status, by sluicectl and a real sluiced, and no other is tried. Last line: "N passed, N failed"."""

import re
import subprocess
import tempfile

from counted import CTL, TOP, check, finish, sluiced

DEPLOY = ["deploy", "d", "--source", "file:/srv/i.raw", "--local", "/dev/vdx"]

# How each message is provoked: its line, as in the table, and what is run.
TRIGGERS = {
    "No sluiced answers at ...": ["--socket", "{tmp}/none", "status"],
    "The socket path ... is too long": ["--socket", "/" + "x" * 200, "status"],
    'There is no command "..."': ["frob"],
    "The option --... is unknown": ["status", "--frob"],
    "The kernel module is not loaded": DEPLOY,
    "There is no deployment ...": ["status", "nosuch"],
    'There is no deployment; "sluicectl deploy" starts': ["pause"],
    "The image to deploy is missing": ["deploy", "--local", "/dev/vdx"],
    "The local disk to deploy to is missing": ["deploy", "--source", "file:/srv/i.raw"],
    "The source cannot be used": ["deploy", "--source", "http://x/y", "--local", "/dev/vdx"],
    "... does not name a local disk": ["deploy", "--source", "file:/srv/i.raw", "--local", "vdx"],
    "The rate of --min-rate is above that of --max-rate":
        ["limit", "--min-rate", "2M", "--max-rate", "1M"],
    "The parameter source is the local disk itself":
        ["deploy", "--source", "file:/dev/vdx", "--local", "/dev/vdx"],
    "The parameter name is no name": ["deploy", "a b", *DEPLOY[2:]],
    "There is no rate to set": ["limit"],
    "The kind of export is missing": ["export"],
    "... is not the NQN of a host": ["export", "tcp", "--allow", "web1"],
    "$... is not known": ["apply", "{tmp}/unknown.json"],
    "$ has no sources": ["apply", "{tmp}/short.json"],
    "... cannot be read: No such file or directory": ["apply", "{tmp}/none.json"],
    "The local disk ... cannot be found": ["apply", "{tmp}/gone.json", "--dry-run"],
    "The local disk ... is no block device": ["apply", "{tmp}/file.json", "--dry-run"],
}

with open(TOP + "/Documentation/messages.rst", encoding="utf-8") as page:
    table = {m: int(status) for m, status in re.findall(r"^``(.+?)`` +(\d+) ", page.read(), re.M)}
check("every message has a trigger", set(table) <= set(TRIGGERS), set(table) - set(TRIGGERS))
check("every trigger has a message", set(TRIGGERS) <= set(table), set(TRIGGERS) - set(table))

with tempfile.TemporaryDirectory() as tmp:
    def write(name, text):
        with open(f"{tmp}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    write("image", "x" * 4096)
    good = '"name":"d","sources":["file:%s/image"]' % tmp
    write("unknown.json", "{%s,\"local\":\"/dev/vdx\",\"colour\":1}" % good)
    write("short.json", '{"name":"d","local":"/dev/vdx"}')
    write("gone.json", "{%s,\"local\":\"%s/disk\"}" % (good, tmp))
    write("file.json", "{%s,\"local\":\"%s/short.json\"}" % (good, tmp))
    with sluiced(tmp) as sock:
        for message, status in table.items():
            arguments = [a.format(tmp=tmp) for a in TRIGGERS.get(message, ["help"])]
            done = subprocess.run([CTL, "--socket", sock, *arguments], capture_output=True,
                                  text=True, check=False)
            pattern = ".*".join(re.escape(part) for part in message.split("..."))
            said = done.stderr + done.stdout
            check(message, re.search(pattern, said), said)
            # Without the module a dry run finds that first.
            wanted = (status, 12) if "--dry-run" in arguments else (status,)
            check(f"status of {message}", done.returncode in wanted, done.returncode)

finish()
