#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""nonsense.py SOCKET: be a host that talks nonsense to the wire.

Each of these must cost the wire no more than this one connection.
"""

import array
import os
import random
import socket
import struct
import sys
import time


def message(command, payload, size=None, flags=0):
    return struct.pack("<HHIII", 1, command, 16 + len(payload) if size is None else size,
                       flags, 0) + payload


VERSION = message(1, struct.pack("<HH", 0, 0) + b'{"capabilities":{}}\0')
EVERYTHING = (1 << 64) - 1


def attempt(name, *packets, fds=0, read=True):
    """Send the packets, take whatever comes back, hang up."""
    # The wire lets in one at a time, and only when the last is forgotten.
    with socket.socket(socket.AF_UNIX) as host:
        host.settimeout(10)
        host.connect(sys.argv[1])
        try:
            for packet in packets:
                passed = [os.memfd_create("nonsense") for _ in range(fds)]
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))]
                host.sendmsg([packet], rights if fds else [])
                for fd in passed:
                    os.close(fd)
            host.shutdown(socket.SHUT_WR)
            while read and host.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        except TimeoutError:
            sys.exit(f"nonsense: the wire hangs after {name}")
    time.sleep(0.05)


def main():
    rng = random.Random(1)
    attempt("nothing")
    attempt("half a header", b"\1\0\1")
    attempt("a size below the header's", message(1, b"", size=3))
    attempt("a size of 4 GiB", message(10, b"", size=0xffffffff))
    attempt("half a message", message(9, b"\0" * 8, size=4096))
    attempt("a reply to no request", message(1, b"", flags=1))
    attempt("unknown commands", VERSION, *(message(c, b"x" * 40) for c in (0, 6, 11, 12, 14, 65535)))
    for region in (0, 7, 8, 0xffffffff):
        for offset in (0, 4095, 4096, 1 << 40, EVERYTHING):
            for count in (0, 1, 4096, 65536, 0xffffffff):
                head = struct.pack("<QII", offset, region, count)
                attempt("a region read", VERSION, message(9, head))
                # The registers are any host's to write, the next one would see it.
                if region or offset >= 4096 * 2:
                    attempt("a region write", VERSION, message(10, head + b"\xff" * 64))
    attempt("interrupts beyond the last",
            VERSION, message(8, struct.pack("<IIIII", 20, 0x24, 2, 0xffffffff, 0xffffffff)), fds=1)
    attempt("descriptors for nothing", *(VERSION for _ in range(50)), fds=8)
    attempt("too many descriptors", VERSION, fds=40)
    attempt("all of memory, many times",
            VERSION, *(message(2, struct.pack("<IIQQQ", 32, 3, 0, a, EVERYTHING))
                       for a in (0, 1, EVERYTHING) * 100))
    attempt("resets without end", VERSION, *(message(13, b"") for _ in range(200)))
    attempt("questions without reading the answers",
            VERSION, *(message(9, struct.pack("<QII", 0, 7, 4096)) for _ in range(2000)), read=False)
    for _ in range(50):
        attempt("noise", rng.randbytes(rng.randrange(1, 4000)))
        attempt("noisy messages", VERSION, *(message(rng.randrange(16), rng.randbytes(rng.randrange(80)))
                                             for _ in range(20)))
    print("nonsense: the wire is still there")


main()
