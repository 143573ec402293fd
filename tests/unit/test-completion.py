#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-completion.py [SLUICECTL]: every command, option and exit status of sluicectl's tables
is in its man page, and what can be typed completes, in bash and zsh as people press the key.
Last line: "N passed, N failed"."""

import json
import os
import re
import subprocess
import tempfile

import pexpect

from counted import CTL, TOP, check, finish, sluiced

PAGE = open(TOP + "/Documentation/man/sluicectl.8.rst", encoding="utf-8").read()
PROMPT = "shell: "


def complete(*words):
    out = subprocess.run([CTL, "--socket", "/nonexistent", "complete", *words],
                         capture_output=True, text=True, check=True).stdout
    return [line.split("\t")[0] for line in out.splitlines()]


def section(page, title):
    """The text under a heading that names the command."""
    for match in re.finditer(r"^([A-Za-z][A-Za-z, -]*)\n[-=]+\n", page, re.M):
        if title in match.group(1).split(", "):
            rest = page[match.end():]
            end = re.search(r"^[^\n]+\n[-=]+\n", rest, re.M)
            return rest[:end.start()] if end else rest
    return ""


def plain(text):
    return re.sub(r"\s+", " ", re.sub(r"\\ |\\|\*", "", text))


def man_page():
    """The page has all that the skeleton has, which is made of the tables."""
    skeleton = subprocess.run([CTL, "help", "--man"], capture_output=True, text=True,
                              check=True).stdout
    page = subprocess.run(["rst2man", "--halt=2"], input=skeleton, capture_output=True, text=True,
                          check=False)
    check("the skeleton is a page", page.returncode == 0 and not page.stderr, page.stderr)
    commands = complete("")
    check("commands are there", len(commands) > 10)
    for command in commands:
        text, want = section(PAGE, command), section(skeleton, command)
        one = subprocess.run([CTL, "help", command, "--man"], capture_output=True, text=True,
                             check=True).stdout
        check(f"{command} is in the skeleton", want and want in one)
        check(f"{command} is in the man page", text)
        synopsis = plain(want.strip().split("\n\n")[0])
        # What the man page writes as several lines is one in help.
        if "|" not in "".join(synopsis.split()[1:2]):
            check(f"synopsis of {command}", synopsis in plain(text),
                  f"'{synopsis}' is not in the man page")
        options = re.findall(r"^--([a-z-]+)", want, re.M)
        global_options = complete("--")
        check(f"options of {command} complete", complete(command, "--") ==
              [f"--{o}" for o in options] + global_options)
        for option in options:
            check(f"{command} --{option} is in the man page",
                  re.search(rf"(^|, |\*\*)--{option}\b", text, re.M))
    for option in re.findall(r"^--([a-z-]+)", section(skeleton, "OPTIONS"), re.M):
        check(f"--{option} is in the man page",
              re.search(rf"(^|, )--{option}\b", section(PAGE, "OPTIONS"), re.M))
    # The page may say it in other words, but says it of each.
    statuses = re.findall(r"^\d+(?: \(\w+\))?$", section(skeleton, "EXIT STATUS"), re.M)
    check("statuses are there", len(statuses) == 20, statuses)
    check("exit statuses are in the man page", statuses ==
          re.findall(r"^\d+(?: \(\w+\))?$", section(PAGE, "EXIT STATUS"), re.M))
    with open(TOP + "/Documentation/control-protocol.rst", encoding="utf-8") as protocol:
        kinds = re.findall(r"^``(\w+)``  +.*  (\d+)$", protocol.read(), re.M)
    check("kinds are in the man page", len(kinds) > 10 and
          {f"{status} ({kind})" for kind, status in kinds} <= set(statuses))


def words():
    check("option value", complete("export", "--kind", "") == ["tcp", "loop", "pci"])
    check("option value after =", complete("export", "--kind=l") == ["--kind=loop"])
    check("option value in bash's words", complete("export", "--kind", "=", "p") == ["pci"])
    check("option without value", "tcp" in complete("export", "--allow-any", ""))
    check("word after an option", complete("export", "--queues", "4", "t") == ["tcp"])
    check("short option", complete("-o", "") == ["json", "text"])
    check("after --", complete("export", "--", "--") == [])
    check("unknown command", complete("frob", "") == [])
    check("hidden command", complete("comp") == [])
    check("file", complete("deploy", "--local", "") == [":files"])
    check("nothing left", complete("export", "vdb", "tcp", "") == [])
    check("all alternatives", complete("profile", "") ==
          ["record", "get", "show", "merge", "from-paths"])
    for typed, want in ("sh", "show"), ("m", "merge"), ("f", "from-paths"), ("r", "record"):
        check(f"profile {typed}", complete("profile", typed) == [want])
    check("the words of an alternative", complete("profile", "show", "") == [":files"])
    check("and no more", complete("profile", "show", "a", "") == [])
    check("a word that is repeated", complete("profile", "merge", "a", "b", "") == [":files"])
    check("an image and a list", complete("profile", "from-paths", "") == [":files"] and
          complete("profile", "from-paths", "a", "") == [":files"])
    check("no alternative", complete("profile", "frob", "") == [])
    check("commands of help", complete("help", "fail") == ["fail-parked"])


def daemon():
    """Its page has the options that it prints, and no others; that of sluicectl the keys of
    its version."""
    with tempfile.TemporaryDirectory() as directory, sluiced(directory) as sock:
        told = subprocess.run([CTL, "--socket", sock, "version", "-o", "json"],
                              capture_output=True, text=True, check=True).stdout
    for key in json.loads(told):
        check(f"the key {key} of version", f"**{key}**" in section(PAGE, "version"))
    shown = subprocess.run([TOP + "/build/sluiced", "--help"], capture_output=True, text=True,
                           check=True).stdout
    with open(TOP + "/Documentation/man/sluiced.8.rst", encoding="utf-8") as file:
        page = file.read()
    check("options of sluiced are in its man page",
          sorted(re.findall(r"^  --([a-z-]+)", shown, re.M)) ==
          sorted(re.findall(r"^--([a-z-]+)", section(page, "OPTIONS"), re.M)))


class Shell:
    """A shell with completion on a terminal of its own."""

    def __init__(self, command, setup):
        env = dict(os.environ, TERM="xterm", PS1=PROMPT, LC_ALL="C.UTF-8",
                   PATH=os.path.dirname(CTL) + ":" + os.environ["PATH"])
        self.child = pexpect.spawn(command[0], command[1:], env=env, timeout=60,
                                   dimensions=(50, 200), encoding="utf-8")
        self.child.sendline(setup)
        self.child.sendline("echo re''ady")
        self.child.expect("ready\r\n")
        self.child.expect_exact(PROMPT)

    def keys(self, typed, want):
        """True when the line shows all of @want after the key was pressed twice."""
        self.child.send(typed + "\t\t")
        try:
            for text in want:
                self.child.expect_exact(text)
            good = True
        except pexpect.TIMEOUT:
            good = False
        self.child.sendcontrol("u")
        self.child.sendline("echo ne''xt")
        self.child.expect("next\r\n")
        self.child.expect_exact(PROMPT)
        return good


def shells():
    bash = Shell(["bash", "--norc", "--noprofile"],
                 "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; "
                 ". /usr/share/bash-completion/bash_completion; "
                 f". {TOP}/tools/completion/sluicectl.bash")
    zdir = tempfile.mkdtemp()
    zsh = Shell(["zsh", "-f"],
                f"fpath=({TOP}/tools/completion $fpath); autoload -U compinit; "
                f"compinit -u -d {zdir}/dump; zstyle ':completion:*' list-prompt ''; unsetopt beep; zle_highlight=(none)")
    for name, shell in ("bash", bash), ("zsh", zsh):
        for typed, want in (
                ("sluicectl fail", ["fail-parked "]),
                ("sluicectl deploy --mdt", ["--mdts "]),
                ("sluicectl export --kind lo", ["loop "]),
                ("sluicectl source add nvme", ["nvme-tcp://"]),
                ("sluicectl deploy --local /etc/host", ["/etc/host", "name"]),
                ("sluicectl un", ["unexport "])):
            check(f"{name}: {typed}", shell.keys(typed, want), repr(shell.child.before)[-300:])
    check("bash lists", bash.keys("sluicectl deploy --ma", ["--max-rate "]))
    check("zsh describes", zsh.keys("sluicectl deploy --m", ["--max-rate", "above which"]))
    for shell in bash, zsh:
        shell.child.close(force=True)
    subprocess.run(["rm", "-rf", zdir], check=True)


man_page()
daemon()
words()
shells()
finish()
