#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-messages.py [SLUICECTL [--list]]: Documentation/messages.rst has every sentence that the sources
have, each with its status and the test that provokes it; those that need no module are provoked
here, by sluicectl, a real sluiced and one that answers nonsense. --list prints what is provoked
here and what no row is for. Last line: "N passed, N failed"."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from counted import CTL, TOP, check, fake_sluiced, finish, sluiced
import sentences

LIST = "--list" in sys.argv
ME = os.path.basename(__file__)
os.chdir(TOP)

# What is said only where the machine lacks something.
LACKS = {
    "The kernel module is not loaded": "/dev/sluice-control",
    "The kernel has no configfs": "/sys/kernel/config",
    "The kernel has no NVMe over TCP initiator (": "/dev/nvme-fabrics",
    "This machine has no PCI endpoint": "/sys/class/pci_epc",
}
# What was said, and with which exit status, None where there is none.
said = []


def ctl(*args, sock=None, **more):
    done = subprocess.run([CTL, "--socket", sock or SOCK, *args], capture_output=True, text=True,
                          check=False, timeout=120, **more)
    said.append((done.stderr, done.returncode))
    return done


def start(*args, until=None, before=(), stdout=subprocess.DEVNULL):
    """One that ends by itself, as it is refused; or that goes on when it has said @until."""
    with open(TMP + "/sluiced.log", "w+", encoding="utf-8") as log_file:
        process = subprocess.Popen([*before, TOP + "/build/sluiced", *args], stderr=log_file,
                                   stdout=stdout)
        for _ in range(1200):
            if process.poll() is not None:
                break
            with open(TMP + "/sluiced.log", encoding="utf-8") as text:
                if until and until in text.read():
                    process.kill()
                    break
            time.sleep(0.05)
        process.kill()
        status = process.wait()
        log_file.seek(0)
        said.append((log_file.read(), status if status >= 0 else None))
    return status


KINDS = {}


def raw(text):
    """Answers of sluiced to the bytes of a message."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(120)
        s.connect(SOCK)
        answer = b""
        try:
            s.sendall(text + b"\0")
            while not answer.endswith(b"\0"):
                part = s.recv(65536)
                if not part:
                    break
                answer += part
        except ConnectionError:
            pass
    for one in answer.split(b"\0")[:-1]:
        reply = json.loads(one)
        if "error" in reply:
            said.append((reply["parameters"]["message"] + "\n",
                         KINDS[reply["error"].removeprefix("org.sluice.")]))
        for finding in reply.get("parameters", {}).get("findings", []):
            if finding["error"]:
                said.append((finding["message"] + "\n",
                             KINDS[finding["error"].removeprefix("org.sluice.")]))


def call(method, **parameters):
    raw(json.dumps({"method": "org.sluice." + method, "parameters": parameters}).encode())


def fake(script, *args):
    """sluicectl against a daemon that answers by the script."""
    with fake_sluiced(TMP, script) as sock:
        ctl(*args, sock=sock)


def write(name, text):
    with open(f"{TMP}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    return f"{TMP}/{name}"


DEPLOY = ["deploy", "--source", "file:/srv/i.raw", "--local", "/dev/vdx"]
GOOD = '"name":"d","sources":["file:/srv/i.raw"],"local":"/dev/vdx"'


def command_lines():
    for line in ("frob", "help frob", "-x", "-o yaml", "-o", "--help=x", "--frob", "status a b",
                 "status --frob", "version x", "limit", "limit --min-rate fast",
                 "limit --min-rate 2M --max-rate 1M", "wait --timeout 1.5", "wait --for x",
                 "export", "export usb x", "export tcp --allow web1", "export tcp --queues 4",
                 "export tcp --allow nqn.a --allow-any", "export pci --allow nqn.a",
                 "export loop --address ::1", "source", "source add", "source add d x",
                 "source list a b", "profile", "profile merge", "mark d down",
                 "deploy --local /dev/vdx", "deploy --source file:/srv/i.raw", "deploy a b",
                 "deploy --export usb", "status nosuch", "pause"):
        ctl(*line.split())
    for more in ("--size 1.5G", "--queues 4", "d --name e", "--local vdx", "x" * 64,
                 " ".join(["--source nbd://h"] * 4), "--min-rate 2M --max-rate 1M",
                 "--profile /nosuch"):
        ctl(*DEPLOY, *more.split())
    ctl("status", "")
    ctl("--socket", "", "status")
    ctl("export", "pci", "--controller", "")
    ctl("export", "tcp", "--address", "")
    ctl("profile", "record", "d", TMP + "/none/x")
    ctl("status", sock=TMP + "/none")
    ctl("status", sock="/" + "x" * 200)
    ctl("status", sock=TMP + "/plain/socket")
    with open("/dev/full", "w", encoding="utf-8") as full:
        # The second has a status of its own, which says nothing without the findings.
        for args in ("help",), ("doctor", "--root", TMP + "/none"):
            done = subprocess.run([CTL, *args], stdout=full, stderr=subprocess.PIPE, text=True,
                                  check=False)
            said.append((done.stderr, done.returncode))
            check(f"{args[0]} that nobody sees", done.returncode == 1 and "written" in done.stderr,
                  (done.returncode, done.stderr))
        for option in "--check-config", "--help", "--version":
            check(f"{option} that nobody sees", start(option, stdout=full) == 1)
    # Whom others than root may not see.
    subprocess.run(["cp", CTL, TMP + "/sluicectl"], check=True)
    os.chmod(TMP, 0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           TMP + "/sluicectl", "--socket", SOCK, "status"], capture_output=True,
                          text=True, check=False)
    said.append((done.stderr, done.returncode))


URIS = (
    "", "file:", "file://host/x", "file:x", "file:/" + "x" * 5000, "file:/", "nbd://a\x01", "x",
    "nbd:x", "http://x/y", "iscsi://h", "iscsi://h/x/0", "iscsi://h/iqn.a,b/0", "iscsi://h/iqn.a/0#",
    "iscsi://h/iqn.a/x", "nbd://h/x#y", "nbds://h?tls-certificates=x", "nbds://h",
    "nbds://u@h?tls-certificates=/c&tls-psk-file=/f", "nbd+unix://h/?socket=/s", "nbd+unix:///",
    "nvme-tcp://h", "nvme-tcp://h/x", "nvme-tcp://h/nqn.a?nguid=1", "nvme-tcp://h/nqn.a?nsid=0",
    "nvme-tcp://h/nqn.a?nsid=1&uuid=" + "1" * 32, "nvme-tcp://h/nqn.a?tls=x", "nvme-tcp://h/nqn.a#",
    "nbd://[::1", "nbd://[]", "nbd://[x]", "nbd://a:b:c", "nbd://:1", "nbd://" + "x" * 300,
    "nbd://1.2.3.400", "nbd://-a", "iscsi://@h/iqn.a/0", "iscsi://u:p@h/iqn.a/0", "nbd://u@h",
    "nbd://", "nbd://[::1]x", "nbd://h:", "nbd://h:0", "nbd://h/%x", "nbd://h/%01",
    "nvme-tcp://h/nqn.a%20", "nbd://h/" + "x" * 5000, "nbd://h/" + "x" * 1000, "nvme-tcp://h/nqn." + "a" * 300,
    "nvme-tcp://h/nqn.a?x=1", "nvme-tcp://h/nqn.a?", "nvme-tcp://h/nqn.a?nsid", "nvme-tcp://h/nqn.a?&",
    "nvme-tcp://h/nqn.a?nsid=", "nvme-tcp://h/nqn.a?nsid=1&nsid=2", "nvme-tcp://h/nqn.a?header-digest=x",
)


def uris():
    for uri in URIS:
        ctl("deploy", "--source", uri, "--local", "/dev/vdx")


PROFILES = (
    "sluice-profile 1 x\n", "sluice-profile 1 size=1\n", "sluice-profile 1 bytes=x\n",
    "sluice-profile 1 bytes=1M bytes=1M\n", "profile\n", "sluice-profile 9\n",
    "sluice-profile 1\n1\n", "sluice-profile 1\nx 1\n", "sluice-profile 1\n0 x\n",
    "sluice-profile 1\n0 0\n", "sluice-profile 1\n8E 8E\n",
    "sluice-profile 1\n" + "".join(f"{i * 8192} 4096\n" for i in range(17000)),
)


def profiles():
    for text in PROFILES:
        ctl("profile", "show", write("profile", text))
    ctl("profile", "show", TMP + "/none")
    ctl("profile", "show", write("profile", "#" * (5 << 20)))
    ctl("profile", "from-paths", TMP + "/none", TMP + "/none")
    image, files = write("image", "x" * 65536), write("list", "/etc/none\n")
    ctl("profile", "from-paths", TMP + "/none", files)
    ctl("profile", "from-paths", image, files)
    ctl("profile", "from-paths", image, TMP)
    subprocess.run(["mke2fs", "-q", "-F", image, "4M"], check=True, stderr=subprocess.DEVNULL)
    ctl("profile", "from-paths", image, TMP + "/none")
    ctl("profile", "from-paths", image, TMP)
    ctl("profile", "from-paths", image, files)
    for name, lines in ("a", range(0, 9000)), ("b", range(9000, 18000)):
        write(name, f"sluice-profile 1 bytes=1{'GT'[name == 'b']}\n" +
              "".join(f"{i * 8192} 4096\n" for i in lines))
    ctl("profile", "merge", TMP + "/a", TMP + "/b")
    disk = TMP + "/disk"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["sfdisk", "-q", disk], input="label: gpt\nsize=4M\nsize=4M\n", text=True,
                   check=True)
    ctl("profile", "from-paths", disk, files, "--partition", "1")
    for at in "1", "5":
        subprocess.run(["dd", "if=" + image, "of=" + disk, "bs=1M", "seek=" + at, "conv=notrunc",
                        "status=none"], check=True)
    ctl("profile", "from-paths", disk, files)
    ctl("profile", "from-paths", disk, files, "--partition", "9")


MANIFESTS = (
    "{", "[]", "{} {}", " ", '{"a":NaN}', '{"a":' + "[" * 40, '{"a":"\\ud800"}', "x" * 70000,
    '{"name":"d"}', f'{{{GOOD},"sizes":1}}', f'{{{GOOD},"exports":{{}}}}', f'{{{GOOD},"exports":[1]}}',
    f'{{{GOOD},"exports":[{{"kind":"tcp","allow":[1]}}]}}', f'{{{GOOD},"name":""}}',
    f'{{{GOOD},"format":1}}', f'{{{GOOD},"exports":[{{"kind":"pci","queues":1000}}]}}',
    f'{{{GOOD},"limits":{{"min_rate":"x"}}}}', f'{{{GOOD},"limits":{{"min_rate":"2M","max_rate":"1M"}}}}',
    f'{{{GOOD},"sources":["x"]}}', f'{{{GOOD},"sources":[]}}', f'{{{GOOD},"local":"x"}}',
    f'{{{GOOD},"profile":"x"}}', f'{{{GOOD},"name":"b a/d"}}', f'{{{GOOD},"size":"banana"}}',
    f'{{{GOOD},"sources":["nbd://a","nbd://b","nbd://c","nbd://d","nbd://e"]}}',
    f'{{{GOOD},"exports":[{{"kind":"tcp","allow":[]}},{{"kind":"loop","allow_any":true}}]}}',
    f'{{{GOOD},"exports":[{{"kind":"usb"}}]}}', f'{{{GOOD},"exports":[{{"kind":"tcp"}},{{"kind":"tcp"}}]}}',
)


def manifests():
    for text in MANIFESTS:
        ctl("apply", write("d.json", text))
    ctl("apply", TMP + "/none.json")
    os.mkdir(TMP + "/twice")
    write("twice/a.json", f"{{{GOOD}}}")
    write("twice/b.json", f"{{{GOOD}}}")
    have = '"name":"d","state":"copying","local":"/dev/vdx","namespace_bytes":4096,' \
        '"sources":[{"uri":"file:/srv/i.raw"}]'
    export = '"exports":[{"kind":"tcp","address":"127.0.0.1:4420"},{"kind":"pci","queues":4}]'
    for text in (f'{{{GOOD},"local":"/dev/vdy"}}', f'{{{GOOD},"size":"8K"}}',
                 f'{{{GOOD},"exports":[{{"kind":"tcp","address":"::1"}}]}}'):
        fake(f'Status {{"parameters":{{"deployments":[{{{have},{export}}}]}}}}', "apply",
             write("d.json", text))
    fake(f'Status {{"parameters":{{"deployments":[{{{have}}}]}}}}', "apply", TMP + "/twice")
    fake('Status {"parameters":{"deployments":[]}}\nCheck {"parameters":{}}', "apply", "--dry-run",
         write("d.json", f"{{{GOOD}}}"))


def answers():
    """Of a daemon that is broken."""
    empty = '{"parameters":{}}'
    one = '{"parameters":{"deployments":[{"name":"d","state":"%s","error":null,"percent":1}]}}'
    for script, args in (
            ("Status @close", "status"), ("Status @huge", "status"), ("Status nonsense", "status"),
            ("Status {}", "status"), (f"Status {empty}", "status"), (f"Status {empty}", "pause"),
            (f"Deploy {empty}", " ".join(DEPLOY)), (f"Export {empty}", "export d loop"),
            (f"Profile {empty}", "profile get d"), (f"AddSource {empty}", "source add d nbd://h"),
            ("Status " + one % "copying", "source list d"), ("Status @silent", "wait --timeout 0"),
            ("Status @silent", "wait d --timeout 0"), (f"Status {empty}", "source list d"),
            ("Status " + one % "copying", "wait d --timeout 0"),
            ("Status " + one % "copying", "wait d --timeout 0 --for 50"),
            ("Status " + one % "failed", "wait d"),
            ('Status {"parameters":{"deployments":[{"name":"a"},{"name":"b"}]}}', "pause"),
            ('Status {"parameters":{"deployments":[]}}', "wait d"),
            ('Deploy {"parameters":{"deployment":{"name":"d","profile":{"same_image":false,'
             '"clipped_bytes":4096}}}}', " ".join(DEPLOY)),
            ('Profile {"parameters":{"profile":"sluice-profile 1\\n","ended":"mark",'
             '"local_bytes":4096,"full":true}}', f"profile get d {TMP}/recorded"),
            ('Profile {"parameters":{"profile":"sluice-profile 1\\n","ended":"mark"}}',
             f"profile get d {TMP}/none/x"),
            (f"Export {empty}", "export d tcp " + f"--allow nqn.{'x' * 200} " * 6000)):
        fake(script, *args.split())


def messages():
    """To a real sluiced."""
    for text in (b"{", b"[]", b"", b'{"a":NaN}', b'{"a":' + b"[" * 40, b'{"a":"\xff"}', b'{"a":}',
                 b"{}", b'{"method":"org.sluice.Status","parameters":1}', b"x" * (1 << 20) + b"x"):
        raw(text)
    good = {"name": "d", "source": "file:/srv/i.raw", "local": "/dev/vdx"}
    call("Nonsense")
    call("Status", name="nosuch")
    for change in ({"name": None}, {"name": 1}, {"name": "x" * 5000}, {"name": "a b"}, {"source": 1},
                   {"source": []}, {"source": [1]}, {"source": "x"}, {"source": "file:/dev/vdx"},
                   {"source": ["nbd://h", "nbd://h"]}, {"source": [f"nbd://h{i}" for i in range(5)]},
                   {"source": "nbd://h/" + "%20" * 1000}, {"local": "vdx"}, {"size": "x"}, {"format": 1},
                   {"force": True}, {"deadline_ms": 1 << 40}, {"min_rate": "x"},
                   {"profile": "sluice-profile 9\n"}, {}):
        call("Deploy", **{k: v for k, v in {**good, **change}.items() if v is not None})
    call("Deploy", name="d", local="/dev/vdx")
    readers = []
    for _ in range(33):
        readers.append(socket.socket(socket.AF_UNIX))
        readers[-1].connect(SOCK)
        readers[-1].sendall(b'{"method":"org.sluice.Events","parameters":{}}\0')
    readers[-1].settimeout(60)
    reply = json.loads(readers[-1].recv(65536).rstrip(b"\0"))
    said.append((reply["parameters"]["message"], KINDS[reply["error"].removeprefix("org.sluice.")]))
    for reader in readers:
        reader.close()
    call("Mark", name="d", mark="down")
    for options in (1, {"allow": 1}, {"allow": ["nqn." + str(i) for i in range(17)]}, {"allow": ["x"]},
                    {"queues": "x"}, {"queues": 2}, {"address": 1}, {"allow_any": 1},
                    {"address": "x" * 100}, {"address": "x"}, {"allow": ["nqn.a"], "allow_any": True}):
        call("Check", exports=[{"kind": "tcp", "options": options}])
    for options in ({"address": "a/b"}, {"allow": ["nqn.a"]}, {"queues": 1}, {"mdts_kb": 3}, {}):
        call("Check", exports=[{"kind": "pci", "options": options}])
    call("Check", exports=[{"kind": "usb"}])
    call("Check", exports=[{"kind": "loop", "options": {"address": "x"}}])
    call("Check", exports=[{"kind": "loop"}] * 4)
    call("Check", exports=[{"kind": "loop"}])
    call("Check", exports=1)


def sources():
    """Without the module a check looks at them all the same."""
    # Keys that cannot be had, one file after the other in the place that the daemon has.
    for text, mode in ((None, 0), ("", 0o644), ("x" * (1 << 20), 0o600), ("iscsi iqn.a\n", 0o600),
                       ("", 0o600)):
        if os.path.exists(CREDENTIALS):
            os.unlink(CREDENTIALS)
        if text is not None:
            os.chmod(write("credentials", text), mode)
        call("Check", source="iscsi://u@127.0.0.1:1/iqn.a/0")
    os.unlink(CREDENTIALS)
    os.symlink(CREDENTIALS, CREDENTIALS)
    call("Check", source="iscsi://u@127.0.0.1:1/iqn.a/0")
    os.unlink(CREDENTIALS)
    psk = write("psk", "x")
    os.chmod(psk, 0o644)
    for uri in (f"file:{TMP}/none", f"file:{TMP}", "nbd://127.0.0.1:1/x", "iscsi://127.0.0.1:1/iqn.a/0",
                f"nbds://u@127.0.0.1:1/x?tls-psk-file={psk}", "iscsi://u@127.0.0.1:1/iqn.a/0",
                "nvme-tcp://127.0.0.1:1/nqn.a", "nvme-tcp://no.invalid/nqn.a"):
        call("Check", source=uri)
    for local in TMP + "/none", TMP:
        call("Check", local=local)
    with open(TMP + "/image", "wb") as file:
        file.truncate(1 << 20)
    with open(TMP + "/other", "wb") as file:
        file.truncate(2 << 20)
    call("Check", source=[f"file:{TMP}/image", f"file:{TMP}/other"])
    # Servers that do not give what is asked.
    for arguments in (["--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=8192",
                       "blocksize-preferred=8192"],
                      ["--filter=error", "memory", "1M", "error-pread=EIO"]):
        # Under its socket's name it listens.
        server = subprocess.Popen(["nbdkit", "-f", "-U", TMP + "/nbd", *arguments],
                                  stderr=subprocess.DEVNULL)
        while not os.path.exists(TMP + "/nbd"):
            time.sleep(0.05)
        time.sleep(0.2)
        call("Check", source=f"nbd+unix:///?socket={TMP}/nbd")
        server.terminate()
        server.wait()
        if os.path.exists(TMP + "/nbd"):
            os.unlink(TMP + "/nbd")


def daemons():
    """That do not start, or say that something is wrong first."""
    with open("Documentation/man/sluiced.8.rst", encoding="utf-8") as manual:
        levels = re.search(r"^--log-level (\S+)$", manual.read(), re.M).group(1)
    for level in levels.split("|"):
        done = subprocess.run([TOP + "/build/sluiced", "--check-config", "--log-level", level],
                              capture_output=True, check=False)
        check(f"the manual's log level {level}", done.returncode == 0, done.stderr)
    start("--frob")
    start("x")
    start("--socket")
    start("--check-config", "--config", TMP + "/none.conf")
    start("--check-config", *["--log-level", "err"] * 40)
    start("--check-config", "--log-level", "loud")
    start("--check-config", "--config", write("a.conf", "nonsense\n"))
    start("--check-config", "--config", write("a.conf", "colour = blue\nlog-level = loud\n"))
    start("--check-config", "--config", TMP)
    os.symlink("loop.conf.d", TMP + "/loop.conf.d")
    start("--check-config", "--config", write("loop.conf", ""))
    for value in ("state-dir=x", "metrics-port=x", "ready-timeout=0", "group=" + "x" * 99,
                  "socket=/" + "x" * 107, "metrics-file=/x", "metrics-file=x.prom"):
        ended = start("--check-config", "--" + value.split("=")[0], value.split("=")[1])
        check(f"the status of {value}", ended == 2, ended)
        start("--check-config", "--config", write("b.conf", value.replace("=", " = ") + "\n"))
    os.makedirs(TMP + "/second/lock")
    # Of 2 the unit takes it that another start does not help.
    long = "/" + "/".join(["x" * 200] * 25)
    for state, sock, status in (("/dev/null/x", "s", 2), (TMP + "/none/x", "s", 1), (long, "s", 2),
                                (TMP + "/second", "s", 2), (TMP + "/third", "plain/s", 2),
                                (TMP + "/third", "none/x/s", 1), (TMP + "/state", "s", 1),
                                (TMP + "/third", "plain", 1)):
        ended = start("--state-dir", state, "--socket", TMP + "/" + sock)
        check(f"the status with {state} and {sock}", ended == status, ended)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        start("--state-dir", TMP + "/third", "--socket", TMP + "/s", "--metrics-port",
                str(taken.getsockname()[1]), until="Metrics cannot be offered")
    # What keeps another from being a flusher, and its memory from being locked.
    start("--state-dir", TMP + "/third", "--socket", TMP + "/s", until="Memory cannot be locked",
            before=["prlimit", "--memlock=65536", "setpriv", "--inh-caps=-all",
                    "--bounding-set=-ipc_lock,-sys_resource"])
    write("third/d.json", "nonsense")
    start("--state-dir", TMP + "/third", "--socket", TMP + "/s", "--metrics-file",
            TMP + "/none/x.prom", until="The metrics cannot be written")


def fixed(row):
    return len(row.replace("...", "").replace(" ", ""))


def provoked(rows):
    """{row: statuses}: of each thing that was said the rows that it has, the longest ones."""
    found = {}
    for text, status in said:
        taken, tail = [], len(text)
        for row in sorted(rows, key=fixed, reverse=True):
            match = re.search(sentences.pattern(row), text) if fixed(row) > 8 else None
            if not match or fixed(row) < 40 and any(
                    a <= match.start() < b or row.startswith("...") and a < match.end() <= b
                    for a, b in taken):
                continue
            taken.append(match.span())
            # What follows another sentence has that one's status.
            found.setdefault(row, set()).add(status if match.start() < tail else None)
            if re.search(r"(?<!\.)\.\.\.$", row):
                tail = min(tail, match.end())
    return found


def table():
    """{row: (statuses, tests)} of the page."""
    with open("Documentation/messages.rst", encoding="utf-8") as page:
        text = re.sub(r"\n  +", " ", page.read())
    return {m: (status, re.findall(r"\*([^*]+)\*", tests)) for m, status, tests in
            re.findall(r"^- ``(.+?)`` — ([^;]+); (no test|\*[^*]+\*)\.", text, re.M)}


def words(status):
    return ", ".join(str(s) for s in sorted(status, key=str)) if status else ""


def pieces(row):
    """All parts of 14 characters of what does not vary."""
    return {part[i:i + 14] for part in row.split("...") for i in range(len(part) - 13)}


def mentions(path, row, known):
    """Whether the test, in Python, has the sentence, or else a part that no other has."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"\\(.)", r"\1", re.sub(r'"\n\s+"', "", file.read()))
    if path.endswith(".py"):
        return f'"{row}"' in text
    others = [pieces(other) for other in known if other != row]
    return any(piece in text and not any(piece in other for other in others)
               for piece in pieces(row))


with open("Documentation/control-protocol.rst", encoding="utf-8") as protocol:
    KINDS.update({k: int(v) for k, v in
                  re.findall(r"^``(\w+)``  +.*  (\d+)$", protocol.read(), re.M)})
with tempfile.TemporaryDirectory() as TMP:
    CREDENTIALS = TMP + "/credentials"
    write("plain", "")
    with sluiced(TMP, "--credentials", CREDENTIALS) as SOCK:
        for part in command_lines, uris, profiles, manifests, answers, messages, sources, daemons:
            part()

known = sentences.sentences()
here = provoked(known)
if LIST:
    for row in sorted(known, key=lambda r: (sorted(known[r][1]), r)):
        print(sorted(known[row][1])[0], words(known[row][0]), "HERE" if row in here else "-",
              words(here.get(row, ())), row, sep="\t")
    sys.exit()

rows = table()
for row in sorted(known):
    check(f"in the table: {row}", row in rows)
for row, (status, tests) in sorted(rows.items()):
    check(f"in the sources: {row}", row in known)
    check(f"status: {row}", row in known and status == words(known[row][0]), words(known.get(row, [()])[0]))
    for test in tests:
        if any(row.startswith(k) and os.path.exists(v) for k, v in LACKS.items()):
            continue
        if test == ME:
            check(f"said: {row}", row in here)
            got = here.get(row, set()) - {None}
            if status.isdigit():
                check(f"its status: {row}", got <= {int(status)} , got)
        else:
            check(f"{test} has: {row}", mentions(test, row, known))

finish()
