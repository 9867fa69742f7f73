#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No file of the product calls one that calls it, over however many others, nor includes one so.

circles.py BUILD [ROOT]   one line per circle, exit 1 when there is one

Calls are read from the symbols of the objects in the build directory, so that they are those the
compiler saw; what goes by pointers (hooks, callbacks) is no call.
"""
import pathlib
import re
import subprocess
import sys

ROOMS = ("common", "supervisor", "workers")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def calls(build):
    """Object -> the objects whose symbols it uses."""
    objects = sorted(o for room in ROOMS for o in (build / room).rglob("*.o"))
    if not objects:
        sys.exit(f"circles.py: no objects below {build}")
    listed = subprocess.run(["nm", "-P", "-A", *map(str, objects)], check=True, text=True, stdout=subprocess.PIPE).stdout
    defined, used = {}, {}
    for line in listed.splitlines():
        where, symbol, kind = line.split()[:3]
        where = where.rstrip(":")
        if kind == "U":
            used.setdefault(where, set()).add(symbol)
        elif kind in "TDBRC":
            defined.setdefault(symbol, where)
    graph = {o: {defined[s] for s in symbols if s in defined} - {o} for o, symbols in used.items()}
    return {source_of(build, o): {source_of(build, p) for p in graph[o]} for o in graph}


def source_of(build, name):
    """build/workers/cache/x.p/serve_pages.c.o -> workers/cache/serve_pages.c."""
    room, flat = pathlib.PurePath(name).relative_to(build).parts[:-2], pathlib.PurePath(name).name.removesuffix(".o")
    return "/".join([*room, flat])


def includes(root):
    files = [f for room in ROOMS for f in (root / room).rglob("*.[ch]")]
    return {f.relative_to(root).as_posix(): set(INCLUDE.findall(f.read_text())) for f in files}


def circles(graph):
    """Tarjan's strongly connected components of more than one node, without recursion."""
    index, low, stack, found = {}, {}, [], []
    for start in sorted(graph):
        work = [(start, iter(sorted(graph.get(start, ()))))] if start not in index else []
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
            after = next(rest, None)
            if after is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    if len(stack) - at > 1:
                        found.append(sorted(stack[at:]))
                    del stack[at:]
            elif after not in index:
                work.append((after, iter(sorted(graph.get(after, ())))))
            elif after in stack:
                low[node] = min(low[node], index[after])
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: circles.py BUILD [ROOT]")
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parents[2])
    bad = [f"these call each other: {', '.join(c)}" for c in circles(calls(pathlib.Path(sys.argv[1])))]
    bad += [f"these include each other: {', '.join(c)}" for c in circles(includes(root))]
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
