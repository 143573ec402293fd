#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""In a guest: /dev/vda is an image. What a real sluiced with the real module says of deployments
and exports that get into trouble. Last line: "N passed, N failed"."""

import contextlib
import errno
import glob
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys

from disks import CLOSE, CONTROL, FRESH, IMAGE, MIB, TOP, close_devices, disk, mapped, run, set_up
from counted import check, finish, until
from provoke import daemon, says

# As in the uapi header.
INFO, COMPLETE, OFFER, HEARTBEAT, SET, SYNC = 0, 5, 6, 7, 17, 18
SERVER, NQN = "10.77.0.1", "nqn.2026-01.org.sluice.test:"
NVMET = "/sys/kernel/config/nvmet"

# A controller of which nothing is behind its directory; the target is the kernel's.
ENDPOINT = """
mkdir -p /tmp/nvmet
mount --bind /sys/kernel/config/nvmet /tmp/nvmet
mount -t tmpfs none /sys/class
mkdir -p /sys/class/pci_epc/one
mount -t tmpfs none /sys/kernel/config
cd /sys/kernel/config
mkdir -p nvmet pci_ep/controllers/one pci_ep/functions/nvmet_pci_epf
touch pci_ep/controllers/one/start
mount --bind /tmp/nvmet nvmet
mount --bind /tmp/kmsg /dev/kmsg
"""


def shell(script):
    """In a shell with what other guest tests are made of."""
    run("bash", "-c", f'. "{TOP}/tests/guest/lib.sh"\n{script}')


def deploy(d, local, **other):
    said = d.call("Deploy", **{**FRESH, "name": "d", "local": local, **other})
    check("deployed", '"device": "/dev/sluice0"' in said, said)


def detach(d):
    """Others look at new devices for a moment."""
    check("detached", until(lambda: d.call("Detach", name="d") == "{}"))


@contextlib.contextmanager
def reader(block):
    """A host that waits for a block."""
    with subprocess.Popen(["dd", "if=/dev/sluice0", "of=/dev/null", "bs=4k", f"skip={block}",
                           "count=1", "iflag=direct"], stderr=subprocess.DEVNULL) as host:
        yield host
        host.terminate()


def ring_lies(pid):
    """As by a kernel of another release: an event of blocks that there are not, and no room for
    more."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        start = next(int(line.split("-")[0], 16) for line in maps
                     if "sluice-control" in line and line.split()[2] == "100000000000")
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        tail, entries = struct.unpack("<II", memory.read(8))
        memory.seek(start + 128 + (tail & entries - 1) * 16)
        memory.write(struct.pack("<QII", 1 << 40, 1, 1))
        memory.seek(start)
        memory.write(struct.pack("<I", tail + 1))
        memory.seek(start + 8)
        memory.write(struct.pack("<I", 1))


def kernel_refuses():
    """What it takes on a good machine."""
    _, node = disk("refused")
    with daemon(rules=[]) as d:
        d.fail(f"poll {CONTROL} 1")
        deploy(d, node, profile="sluice-profile 1 bytes=4096\n0 4096\n")
        d.logs("The boot profile was made from another image; it is used as far as it fits.")
        d.logs("Polling for the host's requests failed: ....")
        d.fail(f"ioctl {CONTROL}#{OFFER} {errno.EIO}")
        ring_lies(d.process.pid)
        d.logs("The kernel asks for ... blocks at ... of ....")
        d.logs("The kernel does not repeat what the host waits for: ....")
        d.fail(f"ioctl {CONTROL}#{SET} {errno.EIO}")
        d.call("Limit", name="d", deadline_ms=5000)
        d.logs("The deadline of waiting requests cannot be set: ....")
        d.fail(f"ioctl {CONTROL}#{SYNC} {errno.EIO}")
        says("What the host wrote to ... cannot be made durable: ....", d.call("Detach", name="d"))
        d.fail(f"ioctl {CONTROL}#{CLOSE} {errno.EIO}")
        says("The kernel does not remove /dev/sluice...: ....", d.call("Detach", name="d"))
        d.fail(f"ioctl {CONTROL}#{HEARTBEAT} {errno.ESTALE}")
        d.logs("Another process attached to /dev/sluice...: stop it and restart sluiced.")
        says("Nothing is fetched for the deployment ... any more, so that no profile can be recorded: "
             "deploy it anew with --format.", d.call("RecordProfile", name="d"))
        d.fail()
        detach(d)
        d.fail(f"open {d.state} {errno.ENOSPC} 2")
        deploy(d, node)
        d.logs("The state cannot be saved in ...: ....")
        d.fail()
        detach(d)
        d.fail(f"answer {CONTROL}#{INFO} 17")
        deploy(d, node)
        d.logs("The copy cannot be set up: ....")
        d.fail()
        detach(d)
        d.fail(f"ioctl {CONTROL}#{COMPLETE} {errno.EIO}")
        deploy(d, node, paused=False)
        d.logs("Recording on ... that the deployment is complete failed: ....")
        d.fail()
        detach(d)


def of_another():
    """A device that is another's by the time that it can be attached."""
    _, node = disk("one")
    with daemon() as d:
        deploy(d, node)
        with open(d.state + "/d.json", encoding="utf-8") as file:
            known = file.read()
        with daemon(records=[known]) as second:
            second.logs("/dev/sluice... cannot be attached (...); trying on.")
            second.process.send_signal(signal.SIGSTOP)
            detach(d)
            deploy(d, node)
            second.process.send_signal(signal.SIGCONT)
            d.process.terminate()
            second.logs("/dev/sluice... is of another deployment.")
    close_devices()


def disk_fails():
    _, node = disk("failing")
    with daemon() as d, mapped("failing", f"0 16384 linear {node} 0") as local:
        deploy(d, local)
        run("dmsetup", "suspend", "--noflush", "--nolockfs", "failing")
        run("dmsetup", "load", "failing", input=f"0 2048 error\n2048 14336 linear {node} 2048")
        run("dmsetup", "resume", "failing")
        d.call("Resume", name="d")
        d.logs("Writing to ... failed (...); trying on.")
        detach(d)


def source_fails():
    _, node = disk("source", 80 * MIB)
    with daemon() as d:
        # The host is sooner than a look at the file.
        for _ in range(5):
            run("cp", IMAGE, "/tmp/shrinks")
            deploy(d, node, source="file:/tmp/shrinks")
            os.truncate("/tmp/shrinks", 4096)
            with reader(200):
                until(lambda: "Deploy the new one from the start" in d.log() or
                      "deploy the new one from the start" in d.log())
            detach(d)
            if "ended before its size" in d.log():
                break
        d.logs("The image at ... ended before its size: it changed while it was being deployed. Deploy "
               "the new one from the start.")

        # A server that hangs, and one of a kind that tells when it is away.
        servers = []
        for port in 10809, 10810:
            servers.append(subprocess.Popen(["nbdkit", "-f", "-r", "-i", "127.0.0.1", "-p", str(port),
                                             "file", IMAGE]))
            check("a server", until(lambda port=port: not socket.socket().connect_ex(
                ("127.0.0.1", port))))
        deploy(d, node, source=["nbd://127.0.0.1:10809/", "nbd://127.0.0.1:10810/"],
               deadline_ms=12000)
        servers[0].send_signal(signal.SIGSTOP)
        with reader(200) as host:
            d.logs("The source ... lets the host wait; trying another one.")
            check("and gets it", host.wait() == 0)
        detach(d)
        for server in servers:
            server.kill()
            server.wait()
        deploy(d, node, source=[f"nvme-tcp://{SERVER}/{NQN}image", "file:/dev/vda"])
        os.unlink(f"{NVMET}/ports/900/subsystems/{NQN}image")
        d.logs("The source ... is away; trying another one.")
        detach(d)


def namespaces():
    shell("storage_serve /dev/vda " + NQN + """two
        cd $CONFIGFS/nvmet
        mkdir subsystems/""" + NQN + """two/namespaces/2 subsystems/""" + NQN + """none
        echo /dev/vda >subsystems/""" + NQN + """two/namespaces/2/device_path
        echo 1 >subsystems/""" + NQN + """two/namespaces/2/enable
        echo 1 >subsystems/""" + NQN + """none/attr_allow_any_host
        nsenter --net=/run/netns/storage ln -s $PWD/subsystems/""" + NQN + """none ports/900/subsystems/""")
    two = f"nvme-tcp://{SERVER}/{NQN}two"
    with daemon(rules=[]) as d:
        says("The subsystem ... has several namespaces (..., ... ...): name one with ?nsid=N.",
             d.call("Check", source=two))
        says("The subsystem ... has no namespace ....", d.call("Check", source=two + "?nsid=7"))
        says("The subsystem ... has no namespace.",
             d.call("Check", source=f"nvme-tcp://{SERVER}/{NQN}none"))
        d.fail(f"ioctl /dev/nvme[0-9]#* {errno.EIO}")
        says("The target at ... port ... does not list its namespaces.", d.call("Check", source=two))
    # Both are waited for.
    with daemon(rules=[f"open /dev/nvme[0-9] {errno.ENOENT}"]) as d, \
            daemon(rules=[f"open /dev/nvme*n* {errno.ENOENT}"]) as other, \
            d.send("Check", source=two) as waiting:
        says("The block device of namespace ... of ... does not appear.",
             other.call("Check", source=two + "?nsid=1"))
        says("The node ... of the source's controller does not appear.",
             waiting.recv(65536).decode())


def exports():
    _, node = disk("exported")
    with daemon(rules=[]) as d, socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%u" % taken.getsockname()[1]
        d.fail(f"ioctl {CONTROL}#{CLOSE} {errno.EIO}")
        says("The address ...:... is in use by something else: export at another one.",
             d.call("Deploy", **{**FRESH, "name": "d", "local": node}, export="tcp",
                    export_options={"address": address, "allow_any": True}))
        d.logs("The device stays, for it cannot be removed: ...")
        d.fail(f"open */namespaces/1/enable {errno.EIO}")
        says("The export failed in the kernel's NVMe target at ...: ....",
             d.call("Export", name="d", kind="loop"))
        d.fail()
        detach(d)


def endpoint():
    """The framework's part is played by us."""
    _, node = disk("shown")
    os.mkfifo("/tmp/kmsg")
    with open("/tmp/kmsg", "r+b", buffering=0) as log, daemon(machine=ENDPOINT) as d:
        deploy(d, node)
        log.write(b"3,1,1,-;nvmet_pci_epf nvmet_pci_epf.0: no room for BAR 0\n")
        functions = f"/proc/{d.process.pid}/root/sys/kernel/config/pci_ep/functions/nvmet_pci_epf/*"
        with d.send("Export", name="d", kind="pci") as s:
            check("a function", until(lambda: glob.glob(functions)))
            made = glob.glob(functions)[0]
            os.mkdir(made + "/new")
            for name in ("deviceid", "msix_interrupts", "msi_interrupts", "new/portid", "new/mdts_kb",
                         "new/subsysnqn"):
                with open(f"{made}/{name}", "wb"):
                    pass
            os.rename(made + "/new", made + "/nvme")
            says("The PCI endpoint controller ... does not take the NVMe function; the kernel says: "
                 "....", s.recv(65536).decode())
        shutil.rmtree(made)
        says("The export failed in the kernel's PCI endpoint framework at ...: ....",
             d.call("Export", name="d", kind="pci"))
        # Which took down what was left of the first one.
        detach(d)


set_up("nvmet", "nvmet-tcp", "nvme-tcp", "nvme-loop", "nvmet-pci-epf")
shell("storage_up 0ms 10gbit\nstorage_serve /dev/vda")
for part in (kernel_refuses, of_another, disk_fails, source_fails, namespaces, exports, endpoint):
    if part.__name__ in (sys.argv[1:] or part.__name__):
        part()
run("rmmod", "sluice")
finish()
