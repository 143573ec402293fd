# SPDX-License-Identifier: GPL-2.0-or-later
"""The sentences that Sluice says when something is wrong, read from its sources: of each the
text as in Documentation/messages.rst, with "..." for what varies, and the exit status, "log" or
"note"."""

import glob
import re

# Which argument is the format, and what else is said around it. None: the status is looked up.
CALLS = {
    "sluiced_fault": ("{}", None),
    "sluiced_deployment_fail": ("{}", "log"),
    "sluiced_deployment_trouble": ("{}", "log"),
    "sluiced_log": ("{}", "log"),
    "sluice_fail": ("{}", None),
    "sluice_usage": ("{}", 2),
    "sluice_uri_refuse": ("{}", 2),
    "bad": ("The parameter ... {}.", 2),
    "wrong": ("...: ... {}; see sluice-deployment(5).", 2),
    # To stderr alone.
    "fprintf": ("{}", 1),
    "sluice_output_text": ("{}", "note"),
    # Of sources: why one cannot be used.
    "snprintf": ("{}", 5),
    "explain": ("{}", 5),
    "lost": ("The connection to sluiced at ... was lost before it answered ({}); its log says more.",
             15),
}
# Names that files use for themselves.
LOCAL = {
    "daemon/source_iscsi.c": {"explain_last": ("The source ... {}: ....", 5)},
    "daemon/source_nbd.c": {"explain_last": ("The source ... {}: ....", 5)},
    "libcommon/profile.c": {"refuse": ("{}", 2)},
    "daemon/control_server.c": {"refuse": ("{}", 2)},
    "daemon/main.c": {"usage": ("sluiced: {} ...; see sluiced --help.", 2)},
}
# What the machine has run out of, which no test brings about and no table helps with.
EXHAUSTED = re.compile(r"no memory|No thread can be started|There is no room for")
# What is said when nothing is wrong.
GOOD = {"Recording what the host of %s asks for; nothing else is fetched meanwhile.",
        "Recorded %zu extents, %s, until ended by %s."}
# What is said around the sentences of somebody else, which are read below or by their calls.
SKIP = {"%s %s %s: %s", "sluicectl: %s", 'sluiced: %s "%s"; see sluiced --help.',
        'sluiced: --%s: "%s" %s; see sluiced --help.', "%s", "%s.", "%s: %s", "%s%s", "%s:%u: %s", '%s: "%.100s" %s.', "The parameter %s %s.",
        "%s: %s %s; see sluice-deployment(5).", "The local disk %s %s: %s.", "The local disk %s %s.",
        "The source %s %s: %.300s", "The source %s %s: %.300s."}


def arguments(text, start):
    """Of a call, from behind its bracket."""
    depth, quoted, found, at = 0, False, [], start
    i = start
    while depth >= 0:
        c = text[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if not quoted and ((c == "," and depth == 0) or depth < 0):
            found.append(text[at:i].strip())
            at = i + 1
        i += 1
    return found


def literals(argument, macros):
    """The texts that an argument may be; several where it is conditional."""
    argument = re.sub(r"\b[A-Z][A-Z0-9_]+\b", lambda m: macros.get(m.group(0), m.group(0)),
                      argument)
    parts = re.findall(r'(?:"(?:[^"\\]|\\.)*"(?:\s|PRI\w+)*)+', argument)
    texts = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', p.replace("PRIu64", '"llu"')))
             for p in parts]
    return [t.replace('\\"', '"').replace("\\\\", "\\") for t in texts]


def normal(text):
    text = re.sub(r"%(?:\d+\$)?[-0-9.*]*(?:hh|ll|[hlzj])?[a-zA-Z]", "...", text)
    return text.replace("%%", "%")


def macros_of(paths):
    """The texts that names stand for, which may be made of others."""
    found = {}
    for path in paths:
        with open(path, encoding="utf-8") as source:
            found.update(re.findall(r'^#define (\w+)\t+((?:\w+|"[^"\n]*")(?: (?:\w+|"[^"\n]*"))*)$',
                                    source.read(), re.M))
    found = {k: v for k, v in found.items() if '"' in v}
    for _ in range(2):
        found = {k: re.sub(r"\b[A-Z][A-Z0-9_]+\b(?=[^\"]*(?:\"[^\"]*\"[^\"]*)*$)",
                           lambda m: found.get(m.group(0), m.group(0)), v)
                 for k, v in found.items()}
    return found


def statuses():
    """Of each constant, its exit status."""
    found = {}
    with open("tools/error.h", encoding="utf-8") as header:
        found.update({k: int(v) for k, v in re.findall(r"(SLUICE_EXIT_\w+) = (\d+)", header.read())})
    with open("Documentation/control-protocol.rst", encoding="utf-8") as page:
        kinds = dict(re.findall(r"^``(\w+)``  +.*  (\d+)$", page.read(), re.M))
    with open("daemon/fault.c", encoding="utf-8") as source:
        for constant, kind in re.findall(r'\[(\w+)\] = "org.sluice.(\w+)"', source.read()):
            found[constant] = int(kinds[kind])
    return found


def others():
    """(text, status, file) of what tables and variables have."""
    status_of = statuses()
    with open("libcommon/control.c", encoding="utf-8") as source:
        texts = dict(re.findall(r'case (SLUICE_REFUSED_\w+):\s*return "([^"]*)"', source.read()))
    with open("daemon/deploy.c", encoding="utf-8") as source:
        for refusal, kind, remedy in re.findall(
                r'\[(SLUICE_REFUSED_\w+)\] = \{\s*(\w+),\s*"([^"]*)" \}', source.read()):
            yield f"The local disk ... {texts[refusal]}: {remedy}.", status_of[kind], "daemon/deploy.c"
    with open("daemon/localdisk.c", encoding="utf-8") as source:
        for error in re.findall(r'error = "([^"]*)"', source.read()):
            yield f"The local disk ... {error}.", 7, "daemon/localdisk.c"
    with open("daemon/config.c", encoding="utf-8") as source:
        for why in re.findall(r'why = "([^"]*)"', source.read()):
            yield f'"..." {why}', "log", "daemon/config.c"


def pattern(row):
    """Of what is said, with anything for what varies."""
    return r"(?s:.*?)".join(re.escape(part) for part in row.split("..."))


def sentences():
    """{text: (statuses, files)}."""
    status_of, found = statuses(), {}
    paths = [p for d in ("tools", "daemon", "libcommon") for p in sorted(glob.glob(d + "/*.[ch]"))]
    macros = macros_of(paths + ["kmod/uapi/linux/sluice.h"])
    for path in paths:
        if path.endswith(".h"):
            continue
        with open(path, encoding="utf-8") as source:
            text = source.read()
        calls = {**CALLS, **LOCAL.get(path, {})}
        for match in re.finditer(rf"\b({'|'.join(calls)})\s*\(", text):
            name = match.group(1)
            args = arguments(text, match.end())
            # A definition or declaration has no literal in it.
            if name == "snprintf" and args[0] not in ("why", "why->buf"):
                continue
            if name in ("fprintf", "sluice_output_text") and args[0] != "stderr":
                continue
            if name == "sluiced_log" and args[0] not in ("LOG_ERR", "LOG_WARNING"):
                continue
            around, status = calls[name]
            if status is None:
                known = [status_of[c] for c in re.findall(r"SLUICED?_\w+", " ".join(args[:2]))
                         if c in status_of]
                status = known[0] if known else "?"
            for arg in args:
                if '"' not in arg:
                    continue
                if name == "sluiced_log" and arg == '"sluiced"':
                    continue
                if name in ("bad", "wrong") and arg != args[2]:
                    continue
                for one in literals(arg, macros):
                    one = one.removesuffix("\\n")
                    if one not in SKIP | GOOD and one.strip():
                        said = normal(around.format(one) if "{" not in one else one)
                        was = found.setdefault(said, (set(), set()))
                        was[0].add(status)
                        was[1].add(path)
                # What follows fills the format.
                break
    for row, status, path in others():
        found.setdefault(row, (set(), set()))[0].add(status)
        found[row][1].add(path)
    with open("libcommon/message.c", encoding="utf-8") as source:
        for one in re.findall(r'(?:return|sentence =) "(The message[^"]*)";', source.read()):
            found.setdefault(one, (set(), set()))[0].add(2)
            found[one][1].add("libcommon/message.c")
    return {k: v for k, v in found.items() if not EXHAUSTED.search(k)}


if __name__ == "__main__":
    for said, (status, paths) in sorted(sentences().items(), key=lambda x: sorted(x[1][1])):
        print(sorted(paths)[0], sorted(map(str, status)), said)
