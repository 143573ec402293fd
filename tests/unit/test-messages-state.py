#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-messages-state.py [SLUICECTL]: what a real sluiced says of deployments that it cannot bring
up again, as there is no module, and of a state that cannot be kept. Run as root. Last line:
"N passed, N failed"."""

import os

from counted import check, finish
from provoke import daemon, record, says

PROFILE = "sluice-profile 1\n0 4096\n"


def of_before():
    """Deployments that wait for their disks."""
    records = (record("d"), record("four", sources=[f"nbd://h{i}" for i in range(4)]))
    with daemon(records=records, files=[("d.profile", "nonsense\n")]) as d:
        d.logs("The boot profile in ... cannot be read, and is not used: ...")
        d.logs("The local disk ... is not there; waiting for it.")
        says("The deployment ... has ... sources: remove one first.",
             d.call("AddSource", name="four", source="nbd://h5"))
        says("The deployment ... has no device yet: see its status.",
             d.call("Export", name="d", kind="loop"))
        says("The requests waiting at ... cannot be ended: ....", d.call("FailParked", name="d"))
        # There is a while in which the module is waited for.
        for _ in range(50):
            with d.send("Deploy", name="new", source="file:/nosuch", local="/dev/nosuch"):
                answer = d.call("Detach", name="new")
            if "under way" in answer:
                break
        says("Another request for the deployment ... is under way: repeat this one when it is done.",
             answer)
        d.logs("Not deployed: ...")


def unkept():
    """The directory of the state goes away."""
    with daemon(records=[record("d")]) as d:
        os.rename(d.state, d.state + ".away")
        says("The boot profile of ... cannot be saved in ...: ...; nothing was changed.",
             d.call("UseProfile", name="d", profile=PROFILE))
        d.call("Pause", name="d")
        d.logs("The state cannot be saved in ... (...): a restarted daemon will not know the latest.")
        check("detached all the same", d.call("Detach", name="d") == "{}")
        d.logs("The state file in ... cannot be removed: ....")


def too_long():
    """The status of as many as there may be, with the longest names."""
    long = [f"nbd://h{i}/" + "x" * 4090 for i in range(4)]
    with daemon(records=[record(f"d{i}", sources=long) for i in range(64)]) as d:
        check("no status", d.call("Status") == "")
        d.logs("An answer cannot be sent: ....")


of_before()
unkept()
too_long()
finish()
