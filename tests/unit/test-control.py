#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-control.py [SLUICECTL]: what members of the group may do to a real sluiced, without
deployments. Run as root. Last line: "N passed, N failed"."""

import grp
import json
import os
import socket
import tempfile

from counted import check, finish, sluiced
from provoke import says

NOBODY = 65534
GUESTS = 16


def connect(path, member=None):
    """A connection of root, or of a member of the group: who connects counts."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    if member is not None:
        os.setegid(member)
        os.setgroups([])
        os.seteuid(NOBODY)
    try:
        s.connect(path)
    finally:
        os.seteuid(0)
        os.setegid(0)
    return s


def call(s, method, **parameters):
    """The first answer; empty when the connection ends instead."""
    text = json.dumps({"method": "org.sluice." + method, "parameters": parameters})
    try:
        s.sendall(text.encode() + b"\0")
        answer = b""
        while not answer.endswith(b"\0"):
            part = s.recv(65536)
            if not part:
                return {}
            answer += part
    except ConnectionError:
        return {}
    return json.loads(answer.split(b"\0")[0])


group = next(g for g in grp.getgrall() if g.gr_gid)
with tempfile.TemporaryDirectory() as tmp:
    os.chmod(tmp, 0o755)
    with sluiced(tmp, "--group", group.gr_name) as path:
        root, guest = connect(path), connect(path, group.gr_gid)
        check("root asks", "deployments" in call(root, "Status")["parameters"])
        check("a member asks", "deployments" in call(guest, "Status")["parameters"])
        text = b'{"method": "org.sluice.Version"}\0'
        other = connect(path, group.gr_gid)
        guest.sendall(text * 100)
        other.sendall(text * 100)
        for name, s in ("one", guest), ("another", other):
            count = 0
            while count < 100 and (part := s.recv(65536)):
                count += part.count(b"\0")
            check(f"{name} asks all the time", count == 100)
        other.close()
        says("Only root may call ....", call(guest, "Pause", name="x")["parameters"]["message"])
        long = "x" * 100000
        # All of it is read before it is refused: what is left unread takes the answer along.
        barely = "x" * 16384
        check("root's long message is read",
              call(root, "Status", name=long)["error"] == "org.sluice.InvalidParameter")
        check("and leaves the connection", "deployments" in call(root, "Status")["parameters"])
        check("a member's is not", call(guest, "Status", name=barely)["parameters"]["message"] ==
              "The message is longer than who is not root may send.")
        check("and ends the connection", not call(guest, "Status"))
        guest.close()
        guests = [connect(path, group.gr_gid) for _ in range(GUESTS)]
        check("so many members, and no more", not call(connect(path, group.gr_gid), "Status"))
        check("keep root not out", "deployments" in call(connect(path), "Status")["parameters"])

finish()
