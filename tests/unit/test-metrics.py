#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-metrics.py [SLUICECTL]: a real sluiced, without deployments, says its figures over HTTP
and in a file, in a way that strict readers take. Last line: "N passed, N failed"."""

import json
import os
import re
import socket
import subprocess
import tempfile

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from counted import CTL, TOP, check, finish, sluiced, until


def ask(port, request):
    """The whole answer, as text."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall(request.encode())
        answer = b""
        while part := s.recv(65536):
            answer += part
    return answer.decode()


def get(port, path, *headers):
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return ask(port, "\r\n".join(lines))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def refuses(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


with tempfile.TemporaryDirectory() as tmp:
    port = free_port()
    path = tmp + "/sluice.prom"
    with sluiced(tmp, "--metrics-file", path, "--metrics-port", str(port)) as sock:
        check("the port is there", until(lambda: not refuses(port)))
        check("the file is there", until(lambda: os.path.exists(path)))
        with open(path, encoding="utf-8") as file:
            names = {f.name for f in prometheus(file.read())}
        check("the file's figures", {"sluice_deployments", "sluice_stalled"} <= names)
        check("anybody may read it", os.stat(path).st_mode & 0o777 == 0o644)
        check("nothing is left beside it", "sluice.prom.new" not in os.listdir(tmp))

        head, body = get(port, "/metrics",
                         "Accept: application/openmetrics-text;version=1.0.0").split("\r\n\r\n", 1)
        check("OpenMetrics is what was asked for", "application/openmetrics-text" in head)
        families = {f.name: f for f in openmetrics(body)}
        check("no deployment", families["sluice_deployments"].samples[0].value == 0)
        check("counters", families["sluice_fetched_bytes"].type == "counter")
        check("histogram", families["sluice_miss_latency_seconds"].type == "histogram")
        check("every figure has help", all(f.documentation for f in families.values()))
        head, body = get(port, "/metrics").split("\r\n\r\n", 1)
        check("text otherwise", "text/plain" in head and "# EOF" not in body)
        check("another path", " 404 " in get(port, "/").split("\r\n")[0])
        refused = ask(port, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Content-Length: 3\r\n\r\nabc")
        check("another method", " 405 " in refused.split("\r\n")[0])
        check("which methods there are", "\r\nAllow: GET, HEAD\r\n" in refused, refused)
        head, empty = ask(port, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                          ).split("\r\n\r\n", 1)
        check("the head alone", " 200 " in head.split("\r\n")[0] and not empty, head)
        check("no HTTP", ask(port, "nonsense\r\n\r\n") == "" or
              " 400 " in ask(port, "nonsense\r\n\r\n").split("\r\n")[0])

        # A dashboard of figures that there are.
        with open(TOP + "/Documentation/grafana.json", encoding="utf-8") as file:
            dashboard = json.load(file)
        used = {name for panel in dashboard["panels"] for target in panel["targets"]
                for name in re.findall(r"sluice_[a-z_]+", target["expr"])}
        known = set(names) | {name + "_bucket" for name in names} | {
            line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")}
        check(f"the dashboard's figures {used - known}", used and used <= known)

        # Who says nothing keeps nobody else from being answered.
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        check("idle connections", " 200 " in get(port, "/metrics").split("\r\n")[0])
        for s in idle:
            s.close()
        version = subprocess.run([CTL, "--socket", sock, "version"],
                                 capture_output=True, check=False)
        check("the daemon answers", version.returncode == 0)
    check("a stop takes the file away", not os.path.exists(path))
    with sluiced(tmp, "--metrics-file", path):
        pass
    check("also while it is being written", "sluice.prom" not in " ".join(os.listdir(tmp)))

finish()
