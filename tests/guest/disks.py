# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks and devices of guest tests in Python, and what the unit tests have for those."""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
import sys

TOP = os.environ["SLUICE_TOP"]
sys.path.insert(0, TOP + "/tests/unit")
os.environ["DM_DISABLE_UDEV"] = "1"

MIB = 1 << 20
IMAGE = "/tmp/image"
# Of a deployment; the rest of it is its name and its local disk.
FRESH = {"source": "file:" + IMAGE, "format": True, "force": True, "paused": True}
# As in the uapi header.
CONTROL, CLOSE = "*/sluice-control", 2


def run(*words, **more):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **more).stdout.strip()


def disk(name, size=8 * MIB, *options):
    """A blank one; its file and its node."""
    path = "/tmp/disk-" + name
    with open(path, "wb") as file:
        file.truncate(size)
    return path, run("losetup", "--find", "--show", *options, path)


def close_devices():
    """Those that daemons have left."""
    for entry in os.listdir("/sys/block"):
        if entry.startswith("sluice"):
            with open("/dev/sluice-control", "r+b") as control:
                fcntl.ioctl(control, 1 << 30 | 24 << 16 | 0xb5 << 8 | CLOSE,
                            struct.pack("IIQQ", int(entry[6:]), 0, 0, 0))


@contextlib.contextmanager
def mapped(name, *table):
    """A device of these parts."""
    run("dmsetup", "create", name, input="\n".join(table))
    try:
        yield "/dev/mapper/" + name
    finally:
        run("dmsetup", "remove", "--retry", name)


def set_up(*modules):
    """The module, and an image without holes."""
    run("modprobe", "-a", "loop", "dm-mod", *modules)
    run("insmod", os.environ["SLUICE_KO"])
    with open(IMAGE, "wb") as image:
        image.write(random.Random(1).randbytes(MIB))
