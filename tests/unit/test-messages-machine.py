#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-messages-machine.py [SLUICECTL]: what a real sluiced says of machines that lack something,
or have it otherwise than it should be: mounts that only the daemon sees make them. Run as root.
Last line: "N passed, N failed"."""

import errno
import socket

from counted import finish, until
from provoke import daemon, says

NQN = "nqn.2026-01.org.example:image"
HOST = "nqn.2014-08.org.nvmexpress:uuid:5106ce00-0000-4000-8000-000000000001"

# With nothing in it but what is asked for.
DEV = """
mount -t tmpfs none /dev
mkdir /dev/shm
mknod /dev/null c 1 3
mknod /dev/urandom c 1 9
"""
# An endpoint controller, and configfs as it is without what follows.
ENDPOINT = """
mount -t tmpfs none /sys/class
mkdir -p /sys/class/pci_epc/one
mount -t tmpfs none /sys/kernel
mkdir /sys/kernel/config
cd /sys/kernel/config
"""
FUNCTIONS = ENDPOINT + "mkdir -p pci_ep/controllers/one pci_ep/functions/nvmet_pci_epf\n"


def endpoints():
    def export(more, **options):
        with daemon(machine=more) as d:
            return d.call("Check", exports=[{"kind": "pci", "options": options}])

    says("The kernel has no /sys/kernel/config/pci_ep: it needs CONFIG_PCI_ENDPOINT_CONFIGFS, and "
         "configfs mounted at /sys/kernel/config.", export(ENDPOINT))
    says("The kernel has no NVMe function for PCI endpoints: it needs Linux 6.14 or newer with "
         "CONFIG_NVME_TARGET_PCI_EPF, the module nvmet-pci-epf.", export(ENDPOINT + "mkdir pci_ep"))
    says("The kernel's NVMe target is missing: load the module nvmet, and mount configfs at "
         "/sys/kernel/config if it is not.", export(FUNCTIONS))
    target = FUNCTIONS + "mkdir -p nvmet/subsystems\n"
    says("There is no PCI endpoint controller ...; there is: ....", export(target, address="two"))
    says("This machine has several PCI endpoint controllers, ...: choose one with --controller.",
         export(target + "mkdir pci_ep/controllers/two"))
    shown = target + "ln -s ../../functions/f pci_ep/controllers/one/f\n"
    says("Every PCI endpoint controller of this machine, ..., already shows a function to its host: "
         "unexport that first.", export(shown))
    says("The PCI endpoint controller ... already shows the function ... to its host: unexport that "
         "first.", export(shown, address="one"))


def module_and_disk():
    machine = DEV + "mknod /dev/sluice-control c 1 3\nmknod /dev/gone b 240 99\n"
    with daemon(machine=machine) as d:
        said = d.call("Check", local="/dev/gone")
        says("The kernel module does not answer: ....", said)
        says("The local disk ... cannot be opened: ....", said)


def check_module():
    machine = DEV + "mknod /dev/sluice-control c 1 3\n"
    for rule, row in (("", "sluiced: The module does not answer: ...."),
                      ("succeed /dev/sluice-control#* 1",
                       "sluiced: The module that is loaded speaks version ... of the interface and "
                       "this sluiced version ....")):
        with daemon("--check-module", machine=machine, rules=[rule], up=False, ends=1) as d:
            until(lambda d=d: d.process.poll() is not None)
            says(row, d.log())


def initiator():
    """The node of the kernel's initiator is a file that takes everything, or no device at all."""
    node = DEV + "echo transport=%s,traddr=%s >/dev/nvme-fabrics\n"
    names = "[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf\n"
    hosts = f"mount -t tmpfs none /etc/nvme\necho {HOST} >/etc/nvme/hostnqn\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        uri = f"nvme-tcp://127.0.0.1:{port}/{NQN}"
        left = f"""
mount -t tmpfs none /sys/class
mkdir -p /sys/class/nvme/nvme7/delete_controller
cd /sys/class/nvme/nvme7
echo tcp >transport
echo {NQN} >subsysnqn
echo {HOST} >hostnqn
echo 5 >fast_io_fail_tmo
echo 1 >reconnect_delay
echo traddr=127.0.0.1,trsvcid={port} >address
"""
        with daemon(machine=node + names + hosts + left, rules=[]) as d:
            says("The name ... of the source cannot be resolved: ....",
                 d.call("Check", source=f"nvme-tcp://nosuch.invalid/{NQN}"))
            says("The kernel's NVMe over TCP initiator has no TLS (CONFIG_NVME_TCP_TLS): use another "
                 "kernel, or a network of its own without tls=psk.",
                 d.call("Check", source=uri + "?tls=psk"))
            for error, row in (
                    (errno.EOPNOTSUPP,
                     "The kernel has no NVMe over TCP initiator: load the module nvme-tcp."),
                    (errno.EADDRINUSE,
                     "The host NQN ... is in use with another host id: give both in /etc/nvme."),
                    (errno.ECONNREFUSED, "The source at ... port ... refuses connections: check that "
                                         "the target runs.")):
                d.fail(f"write /dev/nvme-fabrics {error}")
                says(row, d.call("Check", source=uri + "?header-digest=crc32c"))
            # What another daemon left behind was to be disconnected first.
            d.logs("The controller cannot be disconnected: ....")
        machine = DEV + hosts + "mknod /dev/nvme-fabrics c 240 99\n"
        keys = [("credentials", f"nvme {NQN}2 secret\n")]
        with daemon("--credentials", "STATE/credentials", machine=machine, files=keys) as d:
            says("The kernel's NVMe initiator cannot be used (/dev/nvme-fabrics).",
                 d.call("Check", source=uri))
            says("A key for ... in the credentials file does not begin with DHHC-1: and is none.",
                 d.call("Check", source=uri + "2"))


endpoints()
module_and_disk()
check_module()
initiator()
finish()
