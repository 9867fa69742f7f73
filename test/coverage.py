#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What gcovr counted: a line per room, and the functions that no test reaches.

    test/coverage.py COVERAGE.json UNREACHED.txt
"""
import json
import os
import sys
from collections import defaultdict


def share(part, whole):
    return f"{part:6} of {whole:6} {100 * part / whole if whole else 100:5.1f} %"


def main(counted, unreached):
    rooms = defaultdict(lambda: [0, 0, 0, 0])
    missing = []
    with open(counted) as f:
        files = json.load(f)["files"]
    for f in files:
        lines = [n for n in f["lines"] if not n["gcovr/noncode"]]
        branches = [b for n in lines for b in n["branches"]]
        found = [sum(n["count"] > 0 for n in lines), len(lines), sum(b["count"] > 0 for b in branches), len(branches)]
        for name in (os.path.dirname(f["file"]), "all"):
            rooms[name] = [a + b for a, b in zip(rooms[name], found)]
        missing += [(f["file"], n["lineno"], n["name"]) for n in f["functions"] if n["execution_count"] == 0]
    print(f"{'':34} {'lines':>23} {'branches':>25}")
    for name in sorted(rooms, key=lambda r: (r == "all", r)):
        a, b, c, d = rooms[name]
        print(f"{name:34} {share(a, b)}  {share(c, d)}")
    with open(unreached, "w") as out:
        for path, line, name in sorted(missing):
            print(f"{path}:{line} {name}", file=out)
    print(f"{len(missing)} functions that no test reaches: {unreached}")


main(*sys.argv[1:])
