#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The images of sources-large.sh, on the host; sparse files, so that neither is ever
read or written in whole.

make IMAGE DISK: a 32 GiB image with 1 GiB of data in 8192 places (if it is not there),
	and DISK with it as the file "image" of an ext4 file system: servers see the holes.
soil LOCAL...: blank disks of 33 GiB with something of before in every GiB.
compare IMAGE LOCAL...: every block; ends with "N passed, N failed"."""

import os
import random
import subprocess
import sys
import tempfile

BLOCK = 4096
PLACES = 8192
SLOT = 4 << 20
IMAGE_BYTES = PLACES * SLOT
LOCAL_BYTES = 33 << 30
PIECE = 64 << 10


def make(image, disk):
    if os.path.exists(disk):
        return
    rng = random.Random(1)
    with open(image, "wb") as out:
        out.truncate(IMAGE_BYTES)
        for pair in range(0, PLACES, 2):
            # 64 blocks in two places: 128 KiB a place on average.
            first = rng.randint(1, 63)
            for slot, blocks in ((pair, first), (pair + 1, 64 - first)):
                at = slot * SLOT + rng.randint(0, SLOT // BLOCK - blocks) * BLOCK
                os.pwrite(out.fileno(), os.urandom(blocks * BLOCK), at)
        # The first and the last block.
        os.pwrite(out.fileno(), os.urandom(BLOCK), 0)
        os.pwrite(out.fileno(), os.urandom(BLOCK), IMAGE_BYTES - BLOCK)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(image)) as tree:
        os.link(image, tree + "/image")
        with open(disk + ".new", "wb") as out:
            out.truncate(IMAGE_BYTES + (2 << 30))
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-N", "64", "-m", "0", "-b", "4096",
                        "-O", "^has_journal", "-E", "lazy_itable_init=0,root_owner=0:0",
                        "-d", tree, disk + ".new"], check=True)
    os.rename(disk + ".new", disk)


def soil(local):
    with open(local, "wb") as out:
        out.truncate(LOCAL_BYTES)
        for at in range(0, LOCAL_BYTES, 1 << 30):
            os.pwrite(out.fileno(), b"\xff" * (1 << 20), at + (300 << 20))


def data_pieces(fd):
    """The pieces of a file that are not holes, by number."""
    pieces, at, end = set(), 0, os.fstat(fd).st_size
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        hole = os.lseek(fd, at, os.SEEK_HOLE)
        pieces.update(range(at // PIECE, (hole + PIECE - 1) // PIECE))
        at = hole
    return pieces


def compare(image, local):
    """The number of pieces that differ."""
    a, b = os.open(image, os.O_RDONLY), os.open(local, os.O_RDONLY)
    differing = 0
    for piece in sorted(data_pieces(a) | data_pieces(b)):
        at = piece * PIECE
        if at < IMAGE_BYTES and os.pread(a, PIECE, at) != os.pread(b, PIECE, at):
            differing += 1
            if differing < 8:
                print(f"{local} differs from {image} in the 64 KiB at {at}")
    os.close(a)
    os.close(b)
    return differing


def main():
    verb, paths = sys.argv[1], sys.argv[2:]
    if verb == "make":
        make(*paths)
    elif verb == "soil":
        for path in paths:
            soil(path)
    elif verb == "compare":
        failed = [p for p in paths[1:] if compare(paths[0], p)]
        print(f"{len(paths) - 1 - len(failed)} passed, {len(failed)} failed")
        sys.exit(bool(failed))


if __name__ == "__main__":
    main()
