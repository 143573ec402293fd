#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""look.py CTL metrics PORT FILE | CTL watch TEXT... : what sluiced's figures are beside
its status, and what "sluicectl watch" shows on a terminal. Exits with 0 when all is right."""

import json
import subprocess
import sys
import time
import urllib.request

import pexpect
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

CTL = sys.argv[1]

# Of the figures, and of the status.
SAME = {
    "sluice_size_bytes": "namespace_bytes",
    "sluice_local_bytes": "local_bytes",
    "sluice_waiting_requests": "waiting",
    "sluice_fetched_bytes_total": "fetched_bytes",
    "sluice_demand_bytes_total": "demand_bytes",
    "sluice_profile_bytes_total": "profile_bytes",
    "sluice_zeroed_bytes_total": "zero_bytes",
    "sluice_skipped_bytes_total": "skipped_bytes",
    "sluice_expired_requests_total": "expired",
}


def status():
    out = subprocess.run([CTL, "status", "-o", "json"], capture_output=True, check=True).stdout
    return json.loads(out)["deployments"]


def samples(text, parser):
    found = {}
    for family in parser(text):
        for sample in family.samples:
            key = (sample.name,) + tuple(sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def compare(found, deployments):
    for d in deployments:
        label = ("deployment", d["name"])
        for metric, key in SAME.items():
            assert found[(metric, label)] == d[key], (metric, found[(metric, label)], d[key])
        assert found[("sluice_state", label, ("state", d["state"]))] == 1
        states = [v for k, v in found.items() if k[0] == "sluice_state" and label in k]
        assert sum(states) == 1 and len(states) == 7
        assert found[("sluice_stalled", label)] == (d["state"] == "stalled")
        for source in d["sources"]:
            key = ("sluice_path", label, ("role", source["role"]), ("uri", source["uri"]))
            assert found[key] == 1, key
        count = found[("sluice_miss_latency_seconds_count", label)]
        assert found[("sluice_miss_latency_seconds_bucket", label, ("le", "+Inf"))] == count
        assert (count > 0) == (d["demand_bytes"] > 0), count
    assert found[("sluice_deployments",)] == len(deployments)


def metrics(port, path):
    url = f"http://127.0.0.1:{port}/metrics"
    ask = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        text = answer.read().decode()
    assert text.endswith("# EOF\n")
    deployments = status()
    compare(samples(text, openmetrics), deployments)
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        compare(samples(answer.read().decode(), prometheus), deployments)
    # The file is older than the answer, and a time to go may have come or gone since.
    for _ in range(60):
        with urllib.request.urlopen(ask, timeout=60) as answer:
            asked = set(samples(answer.read().decode(), openmetrics))
        with open(path, encoding="utf-8") as file:
            found = set(samples(file.read(), prometheus))
        if found == asked:
            break
        time.sleep(1)
    assert found == asked, found ^ asked
    for bad in f"http://127.0.0.1:{port}/", f"{url}x":
        try:
            urllib.request.urlopen(bad, timeout=60)
            raise AssertionError(bad)
        except urllib.error.HTTPError as error:
            assert error.code == 404


def watch(texts):
    child = pexpect.spawn(CTL, ["watch"], dimensions=(24, 100), timeout=60, encoding="utf-8",
                          env={"TERM": "xterm", "LC_ALL": "C.UTF-8"})
    for text in texts:
        child.expect_exact(text)
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.exitstatus
    assert child.before.endswith("\x1b[?25h\x1b[?1049l"), child.before


if sys.argv[2] == "metrics":
    metrics(*sys.argv[3:])
else:
    watch(sys.argv[3:])
