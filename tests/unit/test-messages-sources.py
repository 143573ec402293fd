#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-messages-sources.py [SLUICECTL]: what a real sluiced says of sources whose servers say what
they should not, or nothing, and of credentials. Run as root. Last line: "N passed, N failed"."""

import errno
import struct

from counted import finish
from liars import iscsi, nbd, server
from provoke import daemon, record, says

IQN = "iqn.2026-01.org.example:image"


def servers():
    with daemon() as d:
        with server(nbd(1 << 63)) as port:
            says("The source ... does not tell its size: ....",
                 d.call("Check", source=f"nbd://127.0.0.1:{port}/"))
        with server(nbd(1 << 20)) as port:
            says("Reading samples of the source ... failed: ....",
                 d.call("Check", source=f"nbd://127.0.0.1:{port}/"))
            d.logs("A connection failed: ....")
        with server(lambda connection: connection.recv(1)) as port:
            says("The source ... does not answer: check the address and that the server runs.",
                 d.call("Check", source=f"nbd://127.0.0.1:{port}/"))
        with server(iscsi(b"")) as port:
            says("The source ... does not tell its capacity: ....",
                 d.call("Check", source=f"iscsi://127.0.0.1:{port}/{IQN}/0"))
        with server(iscsi(struct.pack(">QI", 2047, 512) + bytes(20))) as port:
            says("The source ... stopped answering.",
                 d.call("Check", source=f"iscsi://127.0.0.1:{port}/{IQN}/0"))


def credentials():
    source = f"iscsi://user@127.0.0.1:1/{IQN}/0"
    # A regular file of our own mode 0600, of which the first byte cannot be read.
    with daemon("--credentials", "/proc/self/mem") as d:
        says("The credentials file ... cannot be read: ....", d.call("Check", source=source))
    with daemon("--credentials", "STATE/credentials",
                files=[("credentials", f"iscsi {IQN} user secret peer\n")]) as d:
        says("Line ... of the credentials file ... has too few or too many fields, or one that is "
             "too long.", d.call("Check", source=source))


def refused_calls():
    with daemon(records=[record("d")], files=[("image", "x" * 4096)], rules=[]) as d:
        d.fail("nbd_supports_tls * 1")
        says("The source ... wants TLS, which libnbd was built without.",
             d.call("Check", source="nbds://127.0.0.1:1/?tls-certificates=/etc"))
        # Its second look at the file.
        d.fail(f"fstat */image {errno.EIO} 1")
        said = "under way"
        while "under way" in said:
            said = d.call("AddSource", name="d", source=f"file:{d.state}/image")
        says("The source ... cannot be looked at: ....", said)


servers()
credentials()
refused_calls()
finish()
