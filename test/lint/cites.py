#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whoever cites a page cites one that is here: sections of docs/ by number, and from there tests and files by name.

cites.py [ROOT]   one line per citation of what is not there, exit 1 when there is one
"""
import pathlib
import re
import subprocess
import sys

PAGES = "zone-protocol|storage"  # whose sections have numbers
NUMBER = r"\d+[a-z]?(?:\.\d+)?"
CITE = re.compile(rf"\b({PAGES})(?:\.md`?)?,? ({NUMBER}(?:(?:,| and| to| or) {NUMBER})*)")
GONE = re.compile(r"\b(?:wire|style|libraries|library|design) page\b|\breliability \d")
HEADS = (rf"^#+ ({NUMBER}) to ({NUMBER})", rf"^#+ ({NUMBER})", rf"^({NUMBER})\. ", rf"^\| ({NUMBER}) \|")
FILE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:c|h|py|lua|proto|def|md|patch))`")


def sections(page):
    found = set()
    for line in page.read_text().splitlines():
        for head in HEADS:
            m = re.match(head, line)
            if m and m.lastindex == 2:
                chapter, first = m[1].split(".")
                found |= {f"{chapter}.{n}" for n in range(int(first), int(m[2].split(".")[1]) + 1)}
            elif m:
                found.add(m[1])
    return found


def flat(text):
    """Comments as one line: the signs at their edges are none of the text."""
    return re.sub(r"\s+(?:\*(?!/)|//|--|#)?\s*", " ", text)


def of_source(text, known):
    text = flat(text)
    for m in CITE.finditer(text):
        for number in re.findall(NUMBER, m[2]):
            if number not in known[m[1]]:
                yield f"{m[1]} {number} is no section"
    for m in GONE.finditer(text):
        yield f"\"{m[0]}\" is no page of docs/"


def of_docs(text, files, tests, units, mutants):
    text = re.sub(r"\s+", " ", text)
    for what, kind, there in ((r"(test_\w+\.py): (\w*_\w+(?:, \w*_\w+)*)", "test", tests), (r"[(;:] ?unit (\w+)", "unit", units),
                              (r"\bmutants? ([a-z]+-[\w-]+)", "mutant", mutants)):
        for m in re.finditer(what, text):
            for name in m[m.lastindex].split(", "):
                key = (m[1], name) if kind == "test" else name
                if key not in there:
                    yield f"no {kind} {name}"
    for m in FILE.finditer(text):
        if not m[1].startswith("share/") and not any(f == m[1] or f.endswith("/" + m[1]) for f in files):
            yield f"no file {m[1]}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    files = [f for f in out.stdout.splitlines() if (root / f).is_file()] or \
        [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and "build" not in p.parts]
    known = {name: sections(root / "docs" / f"{name}.md") for name in PAGES.split("|")}
    tests = {(p.name, t) for p in (root / "test").rglob("test_*.py") for t in re.findall(r"def test_(\w+)", p.read_text())}
    units = {p.stem.removeprefix("test_") for p in (root / "test/unit").glob("test_*.c")}
    mutants = {p.stem for p in (root / "test/storm/mutants").glob("*.patch")}
    bad = []
    for f in files:
        path = root / f
        if path.suffix in (".c", ".h", ".lua", ".proto", ".py", ".def", ".yml", ".in", ".md", ".patch") and f != "test/lint/cites.py":
            text = path.read_text(errors="replace")
            bad += [f"{f}: {b}" for b in of_source(text, known)]
            if f.startswith("docs/") or (path.suffix == ".md" and path.parent == root):
                bad += [f"{f}: {b}" for b in of_docs(text, files, tests, units, mutants)]
    print("\n".join(bad) if bad else f"cites: {len(files)} files, nothing cited that is not there")
    sys.exit(1 if bad else 0)


main()
