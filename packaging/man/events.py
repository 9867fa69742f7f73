#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The section EVENTS of zonesyncd(8): the names from the sources, the meanings from events.txt.

events.py OUTPUT DEPFILE   writes roff, and what it was made from
events.py --check          says which events have no meaning, and which meanings no event
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEANINGS = pathlib.Path(__file__).resolve().with_name("events.txt")
TITLES = {"error": "error: someone must act", "warn": "warn: it coped, and you may want to know",
          "note": "note: the state changed", "debug": "debug"}
CALL = re.compile(r'\blog_(error|warn|note|debug)\(EV\("(\w+)"\)(.*?)\);', re.S)
TO_FILE = re.compile(r'\blog_emit_to\([^;]*?EV\("(\w+)"\)', re.S)
FIELD = re.compile(r'\bKV\("(\w+)"')


def sources():
    return [f for d in ("common", "supervisor", "workers") for f in sorted((ROOT / d).rglob("*.c"))]


def process_of(file):
    parts = file.relative_to(ROOT).parts
    return parts[1] if parts[0] == "workers" else "supervisor" if parts[0] == "supervisor" else "workers"


def read_events():
    """name -> (levels, processes, fields), each in the order of the sources"""
    events = {}
    for file in sources():
        text = file.read_text()
        found = [m.groups() for m in CALL.finditer(text)]
        found += [("error", m.group(1), 'KV("line"') for m in TO_FILE.finditer(text)]
        for level, name, rest in found:
            levels, processes, fields = events.setdefault(name, ([], [], []))
            for to, value in [(levels, level), (processes, process_of(file))]:
                to += [value] if value not in to else []
            fields += [f for f in FIELD.findall(rest) if f not in fields]
    return events


def read_meanings():
    lines = [x for x in MEANINGS.read_text().splitlines() if x and not x.startswith("#")]
    return dict(x.split(": ", 1) for x in lines)


def roff(text):
    return "".join({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga"}.get(c, c) for c in text)


def page(events, meanings):
    order = list(TITLES)
    out = []
    for level, title in TITLES.items():
        out += [f".SS {title}"]
        for name, (levels, processes, fields) in sorted(events.items()):
            if min(levels, key=order.index) != level:
                continue
            also = [x for x in levels if x != level]
            about = ", ".join(processes) + (f"; also {', '.join(also)}" if also else "")
            out += [".TP", f"\\fB{name}\\fR ({about})"]
            out += [roff(meanings[name])] if name in meanings else []
            out += [f"Fields: {', '.join(fields)}."] if fields else []
            out += [] if name in meanings or fields else ["No fields."]
    return "\n".join(out) + "\n"


def check(events, meanings):
    bad = [f"{MEANINGS.relative_to(ROOT)}: {n}: say in one line what it means" for n in events if n not in meanings]
    bad += [f"{MEANINGS.relative_to(ROOT)}: {n}: nothing logs it" for n in meanings if n not in events]
    print("\n".join(sorted(bad)), end="\n" if bad else "")
    return 1 if bad else 0


def main():
    events, meanings = read_events(), read_meanings()
    if sys.argv[1:] == ["--check"]:
        return check(events, meanings)
    output, depfile = sys.argv[1:]
    pathlib.Path(output).write_text(page(events, meanings))
    used = [str(f).replace(" ", "\\ ") for f in [*sources(), MEANINGS]]
    pathlib.Path(depfile).write_text(f"{output}: {' '.join(used)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
