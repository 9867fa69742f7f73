#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The budgets of HACKING.md: functions, parameters, files.

sizes.py [ROOT]   one line per violation, exit 1 when there is one

Functions are found by universal-ctags; without it by the closing brace in column 0 that
our formatting guarantees. Literal tables are no functions and so exempt; so are
schema.def and the tests.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

FUNCTION_LINES = 80
PARAMETERS = 5
C_LINES = 800
H_LINES = 150

# Known and judged: (file, function) -> parameters it may have.
ACCEPTED = {
    ("common/ipc/route.c", "route_dispatch"): 6,  # who, when and the bytes: all differ per call
    ("workers/cache/http/http.c", "on_request"): 8,  # as libmicrohttpd calls it
    ("common/log/log.c", "emit"): 6,  # behind the log_*() macros, which hide five of them
}

# "int name(...": a definition starts in column 0 and ends with a line that is just "}".
START = re.compile(r"^[A-Za-z_][\w \t*]*?\b(\w+)\(")


def by_ctags(path):
    """(name, first line, last line, signature) of each function."""
    run = subprocess.run(["ctags", "--output-format=json", "--fields=+neS", "--kinds-C=f", "-f", "-",
                          str(path)], capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        tag = json.loads(line)
        if "end" in tag:
            yield tag["name"], tag["line"], tag["end"], tag.get("signature", "()")


def by_braces(path):
    lines = path.read_text().splitlines()
    for at, line in enumerate(lines):
        m = START.match(line)
        if not m:
            continue
        head, end = line, at
        while "{" not in head and ";" not in head and end + 1 < len(lines) and end - at < 12:
            end += 1
            head += " " + lines[end]
        if ";" in head.split("{")[0] or "=" in head.split("(")[0] or "{" not in head:
            continue
        last = next((n for n in range(end, len(lines)) if lines[n] == "}"), None)
        if last is not None:
            yield m.group(1), at + 1, last + 1, head[head.index("("):head.index("{")]


def parameters(signature):
    """Commas at the outermost level of the parentheses.

    The trailing error does not count, as in chan_open(); neither does
    the argument that goes with a callback.
    """
    inside = signature.strip()[1:].rsplit(")", 1)[0].strip()
    if inside in ("", "void"):
        return 0
    depth, n = 0, 1
    for c in inside:
        depth += c in "([{"
        depth -= c in ")]}"
        n += c == "," and depth == 0
    inside = re.sub(r"\s+", "", inside)  # ctags and the source space differently
    n -= inside.endswith("structerr*e")
    return n - len(re.findall(r"_fn\*fn,void\*arg", inside))


def universal_ctags():
    if shutil.which("ctags") is None:
        return False
    run = subprocess.run(["ctags", "--list-features"], capture_output=True, text=True, check=False)
    return run.returncode == 0 and "json" in run.stdout


def check_file(path, name, functions):
    lines = len(path.read_text().splitlines())
    most = C_LINES if name.endswith(".c") else H_LINES
    out = [f"{name}:1: {lines} lines, {most} at most"] if lines > most else []
    for fn, first, last, signature in functions(path) if name.endswith(".c") else ():
        if last - first + 1 > FUNCTION_LINES:
            out.append(f"{name}:{first}: {fn}() has {last - first + 1} lines, {FUNCTION_LINES} at most")
        most = ACCEPTED.get((name, fn), PARAMETERS)
        if parameters(signature) > most:
            out.append(f"{name}:{first}: {fn}() has {parameters(signature)} parameters, {most} at most")
    return out


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    functions = by_ctags if universal_ctags() else by_braces
    bad = []
    for top in ("common", "supervisor", "workers", "packaging"):
        for file in sorted((root / top).rglob("*.[ch]")):
            bad += check_file(file, file.relative_to(root).as_posix(), functions)
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
