#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The plan of the house as data (docs/architecture.md): who may include whom, and which names are taken.

layers.py [ROOT]   one line per violation, exit 1 when there is one
"""
import pathlib
import re
import sys

# What a folder may include of ours. A folder may always include itself. "proto" is the
# generated code. A file that lies in none of these folders is a violation by itself.
MAY = {
    "common/base": set(),
    "common/log": {"common/base"},
    "common/json": {"common/base"},
    "common/model": {"common/base", "common/json"},
    "common/message": {"common/base", "proto"},  # proto: what a worker finds wrong
    "common/ipc": {"common/base", "common/json", "common/message", "common/model", "proto"},
    # proto: the Tls section of a Configure message is what both are told
    "common/tls": {"common/base", "proto"},
    "common/store": {"common/base", "common/json", "common/model"},  # model: it stores events
    "common/redis": {"common/base", "common/json", "common/message", "common/tls", "proto"},
    "common/zone": {"common/base", "common/json", "common/model", "common/redis"},  # model: events
    # redis and log: link.[ch] turns a Configure message into a connection's options, and the
    # worker opens the log it was told to write
    "common/worker": {"common/base", "common/json", "common/log", "common/message", "common/model",
                      "common/ipc", "common/tls", "common/redis", "proto"},
    "supervisor": {"common/base", "common/log", "common/json", "common/message", "common/model",
                   "common/ipc", "proto", "supervisor/config"},
    # proto: slices are Configure messages; model: the timing rules are checked with the file
    "supervisor/config": {"common/base", "common/json", "common/message", "common/model", "proto"},
    # ask: `config check` asks the workers; model: the names of the types
    "supervisor/cli": {"common/base", "common/ipc", "common/json", "common/message",
                       "common/model", "proto", "supervisor/ask.h", "supervisor/config", "supervisor/command.h"},
    # the generator of the man pages links the tables of both programs
    "packaging/man": {"common/base", "common/model", "supervisor", "supervisor/cli", "supervisor/config"},
    "test": None,
}
WORKER_MAY = {"common/" + d for d in ("base", "log", "json", "message", "model", "ipc", "tls", "store", "redis",
                                      "zone", "worker")} | {"proto"}
FETCHER, CACHE = "workers/fetcher", "workers/cache"
SOURCE = {FETCHER + "/source", FETCHER + "/map"}
# source/ runs on a thread of its own: it knows the map, and of the loop only the feed between
# them, which is its own.
READS = {"common/base", "common/json", "common/log", "common/message", "common/model", "common/tls", "proto"} | SOURCE
MAY |= {
    "workers/elector": WORKER_MAY,
    # map/ is pure: rows in, events out
    FETCHER + "/map": {"common/base", "common/json", "common/model"},
    # where an adapter is chosen, all are known
    FETCHER + "/source": READS | {f"{FETCHER}/source/{d}" for d in ("files", "mongo", "postgres")},
    FETCHER + "/source/files": READS,
    FETCHER + "/source/mongo": READS,
    FETCHER + "/source/postgres": READS,
    FETCHER + "/publish": WORKER_MAY,
    FETCHER: WORKER_MAY | SOURCE | {f"{FETCHER}/{d}" for d in ("publish", "source/files", "source/mongo")},
    CACHE + "/follow": WORKER_MAY | {CACHE},
    CACHE + "/local": WORKER_MAY | {CACHE},
    CACHE + "/serve": WORKER_MAY | {CACHE},
    CACHE + "/http": WORKER_MAY | {CACHE},
    CACHE: WORKER_MAY | {f"{CACHE}/{d}" for d in ("follow", "local", "serve", "http")},
}

IMPURE = {d for d in MAY if d.startswith("workers/")} - {FETCHER + "/map"}

# The only folders or files that may use a third-party library; "test" may use all of them.
LIBRARIES = {
    "hiredis": {"common/redis"},
    "lmdb": {"common/store"},
    "microhttpd": {"workers/cache/http/http.c"},
    "yaml": {"supervisor/config"},
    "mongoc": {"workers/fetcher/source/mongo"},
    "bson": {"workers/fetcher/source/mongo"},
    "libpq": {"workers/fetcher/source/postgres"},
    "openssl": {"common/tls", "workers/fetcher/map"},  # map: decrypts properties
    "xxhash": {"common/base"},  # digest.c
    "uv": {"common/ipc", "common/redis", "common/zone", "common/worker", "supervisor",
           "supervisor/cli"} | IMPURE,
    "protobuf-c": {"common/message", "common/ipc", "common/tls", "common/redis", "common/worker",
                   "supervisor", "supervisor/config", "supervisor/cli"} | IMPURE,
    "cmocka": set(),
}
# Third-party headers that may stand in a header of ours: anywhere they may be used ...
IN_HEADERS = {"uv", "protobuf-c"}
# ... or in this one file, which nobody outside its folder includes.
PRIVATE_HEADERS = {("common/store/store_internal.h", "lmdb"), ("common/tls/tls_internal.h", "openssl")}

# A part of a struct that one file of the folder owns: the others ask it by its functions.
PARTS = {FETCHER: ("learn", "reading", "removals", "quarantine", "settle", "send"),
         CACHE + "/follow": ("look", "replay")}
PART_FILE = {"reading": "pass.c"}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def folder_of(path):
    """The deepest folder of the plan that holds the file."""
    parts = pathlib.PurePosixPath(path).parts[:-1]
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in MAY:
            return "/".join(parts[:n])
    return None


def library_of(header):
    first = header.split("/")[0]
    first = first[:-2] if first.endswith(".h") else first
    for name in LIBRARIES:
        if first == name or (name != "uv" and first.startswith(name)):
            return name
    return {"libpq-fe": "libpq"}.get(first)


def check_ours(path, folder, header):
    if header.endswith(".pb-c.h"):
        target = "proto"
    else:
        target = folder_of(header)
    if folder == "test" or target == folder:
        return None
    if target is None:
        return f"{header} lies in no folder of the plan"
    if target in MAY[folder] or header in MAY[folder]:
        return None
    if path == "supervisor/main.c" and target.startswith("supervisor"):
        return None
    return f"{folder} may not include {header}"


def check_library(path, folder, header, quoted):
    name = "protobuf-c" if quoted and header.endswith(".pb-c.h") else library_of(header)
    if name is None or folder == "test":
        return None
    if folder not in LIBRARIES[name] and path not in LIBRARIES[name]:
        return f"{folder} may not use {name}"
    if path.endswith(".h") and name not in IN_HEADERS and (path, name) not in PRIVATE_HEADERS:
        return f"{header} belongs into a .c file"
    return None


def check_file(root, path):
    folder = folder_of(path)
    if folder is None:
        return [f"{path}:1: lies in no folder of the plan"]
    out = []
    private = {h for h, _ in PRIVATE_HEADERS}
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        out += [f"{path}:{number}: {part} is of {PART_FILE.get(part, part + '.c')}"
                for part in PARTS.get(folder, ())
                if f"f->{part}." in line and not line.lstrip().startswith("*") and path != f"{folder}/{PART_FILE.get(part, part + '.c')}"]
        m = INCLUDE.match(line)
        if not m:
            continue
        ours, system = m.groups()
        found = [check_library(path, folder, ours or system, ours is not None)]
        if ours:
            found.append(check_ours(path, folder, ours))
            if ours in private and folder_of(ours) != folder:
                found.append(f"{ours} is private to {folder_of(ours)}")
        out += [f"{path}:{number}: {text}" for text in found if text]
    return out


TYPE = re.compile(r"^(?:struct|enum) (\w+) \{", re.M)


def check_twins(root):
    """One name means one thing: no two files, and no two types, of the product have the same."""
    seen, out = {}, []
    for top in ("common", "supervisor", "workers"):
        for file in sorted((root / top).rglob("*.[ch]")):
            path = file.relative_to(root).as_posix()
            names = [f"type {t}" for t in TYPE.findall(file.read_text())]
            for name in names + ([file.name] if file.name != "main.c" else []):
                if name in seen:
                    out.append(f"{path}:1: {name} is a name that {seen[name]} has")
                seen[name] = path
    return out


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    bad = check_twins(root)
    for top in ("common", "supervisor", "workers", "packaging", "test"):
        for file in sorted((root / top).rglob("*.[ch]")):
            bad += check_file(root, file.relative_to(root).as_posix())
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
