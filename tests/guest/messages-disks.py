#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""In a guest: what a real sluiced with the real module says of images and local disks that it
cannot use. Last line: "N passed, N failed"."""

import errno
import json
import os
import struct

from disks import CONTROL, FRESH, IMAGE, MIB, close_devices, disk, mapped, run, set_up
from counted import finish
from provoke import daemon, says


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def images_and_disks():
    _, blank = disk("blank")
    _, large = disk("large", 8 * MIB, "--sector-size", "4096")
    odd = run("losetup", "--find", "--show", "--sector-size", "1024", IMAGE)
    with open("/tmp/full", "wb") as file:
        file.truncate(8 * MIB - 4096)
    with daemon(rules=[]) as d:
        says("The image ... has logical blocks of ... bytes: only 512 and 4096 can be deployed.",
             d.call("Deploy", name="d", local=blank, **{**FRESH, "source": "file:" + odd}))
        says("The image ... has logical blocks of ... bytes, but the local disk ... of ...: use an "
             "image with blocks as large.", d.call("Deploy", name="d", local=large, **FRESH))
        says("The local disk ... is too small for the image and Sluice's metadata: choose a larger "
             "disk.", d.call("Deploy", name="d", local=blank, **{**FRESH, "source": "file:/tmp/full"}))
        d.fail(f"ioctl {blank}#114 {errno.EIO}")
        says("The local disk ... does not tell its size.",
             d.call("Deploy", name="d", local=blank, **FRESH))
        d.fail(f"answer {CONTROL}#0 1")
        says("The kernel module speaks version ... of the interface and sluiced version ...: install "
             "the two of one release.", d.call("Deploy", name="d", local=blank, **FRESH))
        d.fail(f"fstat {blank} {errno.EIO}")
        says("The local disk ... cannot be examined.",
             d.call("Deploy", name="d", local=blank, **{**FRESH, "force": False}))
        d.fail()
        os.rename(d.state, d.state + ".away")
        says("The state of ... cannot be saved in ...: ...; nothing was changed.",
             d.call("Deploy", name="d", local=blank, **FRESH))
        os.rename(d.state + ".away", d.state)


def unreadable_disks():
    blank = {**FRESH, "force": False}
    _, node = disk("bad")
    with daemon() as d:
        with mapped("tail", f"0 8192 linear {node} 0", "8192 8192 error") as bad:
            says("The local disk ... cannot be examined for a deployment: ....",
                 d.call("Deploy", name="d", local=bad, **blank))
            says("The kernel cannot use the local disk ...: ....",
                 d.call("Deploy", name="d", local=bad, source=FRESH["source"]))
        with mapped("head", "0 8192 error", f"8192 8192 linear {node} 8192") as bad:
            says("The local disk ... cannot be read.", d.call("Deploy", name="d", local=bad, **blank))


def damaged_disks():
    """What is written of a deployment, changed."""
    path, node = disk("damaged")
    again = {"source": FRESH["source"], "name": "d", "local": node}
    with daemon() as d:
        d.call("Deploy", **{**FRESH, **again})
        d.call("Detach", name="d")
        with open(path, "r+b") as file:
            good = file.read()

            def change(at, data):
                file.seek(0)
                file.write(good)
                file.seek(at)
                file.write(data)
                file.flush()
                # Nothing of what was there before is remembered.
                run("losetup", "--detach", node)
                run("losetup", node, path)

            newer = bytearray(good[7 * MIB:7 * MIB + 4096])
            newer[8:16] = struct.pack("<II", 2, 0)
            newer[12:16] = struct.pack("<I", crc32c(newer))
            change(7 * MIB, newer)
            says("The local disk ... holds a deployment written by a newer Sluice: load the module of "
                 "that release.", d.call("Deploy", **again))
            change(7 * MIB - 8192, bytes(8192))
            says("The local disk ... holds a deployment whose residency map is damaged: start anew with "
                 "--format --force.", d.call("Deploy", **again))
            change(8 * MIB, bytes(MIB // 2))
            says("The local disk ... holds a deployment that was made on another disk: start anew with "
                 "--format --force.", d.call("Deploy", **again))


def changed_meanwhile():
    """Devices that are gone with a restart of the machine, and disks that are not as they were."""
    disks = {name: disk(name) for name in "abc"}
    with daemon() as d:
        for name, (_, node) in disks.items():
            d.call("Deploy", name=name, local=node, **FRESH)
        records = {}
        for name in disks:
            with open(f"{d.state}/{name}.json", encoding="utf-8") as file:
                records[name] = json.load(file)
    # Another daemon, that knows nothing of them.
    with daemon() as d:
        says("The kernel has a device of that name already: detach it first.",
             d.call("Deploy", name="a", local=disk("other")[1], **FRESH))
    close_devices()
    records["a"]["uuid"] = "0123456789abcdef" * 2
    path, node = disks["c"]
    run("losetup", "--detach", node)
    run("losetup", "--sector-size", "4096", node, path)
    with mapped("held", f"0 16384 linear {disks['b'][1]} 0"), \
            daemon(records=[json.dumps(r) for r in records.values()]) as d:
        d.logs("The local disk ... holds another deployment: check that it is the disk you mean.")
        d.logs("The local disk ... is in use by something else: unmount it or stop what holds it.")
        d.logs("The local disk ... has larger logical blocks than the image: use an image with blocks "
               "as large, or another disk.")


set_up()
for part in images_and_disks, unreadable_disks, damaged_disks, changed_meanwhile:
    part()
run("rmmod", "sluice")
finish()
