# SPDX-License-Identifier: Apache-2.0
"""The `zonesync` command: what it prints, and what it ends with."""
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from gateway import Gateway, event, match, reply, resolution
from harness import BUILD, DEADLINE

ZONESYNC = str(BUILD / "supervisor/cli/zonesync")


def run(*args, code=0, text=True, **more):
    done = subprocess.run([ZONESYNC, *map(str, args)], capture_output=True, text=text,
                          timeout=DEADLINE, **more)
    assert done.returncode == code, (args, done)
    return done


@pytest.fixture
def cache():
    """cache(answer) serves beside a control socket that is not there."""
    d = Path(tempfile.mkdtemp(prefix="zs-", dir="/tmp"))
    open_ones = []

    def serve(answer):
        g = Gateway(d / "cache.sock", answer)
        g.args = ("--socket", d / "control.sock")
        open_ones.append(g)
        return g

    yield serve
    for g in open_ones:
        g.close()
    shutil.rmtree(d)


# --- the daemon ---

def test_status_for_people_names_what_matters(daemon):
    daemon.script("cache", "ready serving")
    daemon.start()
    daemon.until(lambda: daemon.status()["health"] == "ok" and daemon.status()["fetcher"], "ok")
    out = daemon.cli("status").stdout
    for text in ("test-node", "test-zone", "mode zone", "role secondary", "health      ok",
                 "following, serving", "quarantine  0"):
        assert text in out, out
    assert "\033" not in out, "no colour in a pipe"
    daemon.order("fetcher", "exit 9")
    daemon.until_death("fetcher")
    daemon.until_up("fetcher")
    out = daemon.cli("status").stdout
    assert "exit 9" in out and "last ends" in out
    daemon.stop()


def test_status_watch_goes_on_until_interrupted(daemon):
    daemon.start()
    p = daemon.follow("status", "--watch", "--json", text=True)
    first, second = json.loads(p.stdout.readline()), json.loads(p.stdout.readline())
    assert second["uptime_ms"] > first["uptime_ms"]
    p.send_signal(signal.SIGINT)
    assert p.wait(DEADLINE) == -signal.SIGINT
    daemon.stop()


def test_quarantine_is_a_table_or_json(daemon):
    daemon.start()
    daemon.until(lambda: daemon.status()["fetcher"], "its first report")
    assert "only the primary reads the source" in daemon.cli("quarantine").stdout
    daemon.order("fetcher", "quarantine 3")
    daemon.until(lambda: daemon.status()["fetcher"]["quarantined"] == 3, "reported")
    out = daemon.cli("quarantine").stdout
    assert out.splitlines()[0].split() == ["type", "id", "since", "where", "reason"]
    assert len(out.splitlines()) == 4
    assert "\033" not in out and "\t" not in out, "names are cleaned"
    items = [json.loads(x) for x in daemon.cli("quarantine", "--json").stdout.splitlines()]
    assert [i["type"] for i in items] == ["API"] * 3
    daemon.stop()


def test_peer_that_does_not_read_its_answer_does_not_hold_up_the_stop(daemon):
    import socket
    import struct
    daemon.start()
    daemon.order("fetcher", "quarantine 1000")
    daemon.until(lambda: (daemon.status()["fetcher"] or {}).get("quarantined") == 1000, "reported")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(str(daemon.run / "control.sock"))
    s.sendall(struct.pack(">I", 8) + b"\x0a\x06status")
    assert s.recv(1)
    daemon.stop()
    s.close()


def test_commands_print_what_the_daemon_says(daemon):
    daemon.start()
    assert "reloaded" in daemon.cli("reload").stdout
    assert daemon.cli("restart", "fetcher").stdout == "restarting fetcher\n"
    assert "elector, fetcher and cache" in daemon.cli("restart", "fetchr", code=64).stderr
    daemon.until_event("fetcher", "ready", n=2)
    daemon.until_up()
    assert "anew" in daemon.cli("resync").stdout
    daemon.until_event("cache", "resync")
    assert "only the primary" in daemon.cli("resync", "--accept-deletes", code=1).stderr
    assert "only the primary" in daemon.cli("compare", code=1).stderr
    assert "test-zone" in daemon.cli("config", "show").stdout
    daemon.stop()


def test_logs_of_all_processes_come_in_order(daemon):
    daemon.start()
    daemon.order("cache", "print from the cache")
    daemon.until_log("from the cache", "cache")
    out = daemon.cli("logs").stdout.splitlines()
    stamps = [line.split()[0] for line in out]
    assert stamps == sorted(stamps)
    assert any("event=daemon_start" in line for line in out)
    assert any("from the cache" in line for line in out)
    assert "event=daemon_start" not in daemon.cli("logs", "cache").stdout
    assert len(daemon.cli("logs", "-n", "2").stdout.splitlines()) == 2
    assert daemon.cli("logs", "-n", "0").stdout == ""
    assert "there are supervisor" in daemon.cli("logs", "nobody", code=64).stderr
    daemon.stop()


def test_logs_follow_through_a_rotation(daemon):
    daemon.start()
    p = daemon.follow("logs", "-f", "-n", "0", "cache")
    os.set_blocking(p.stdout.fileno(), False)
    seen = []

    def saw(text):
        seen.append(p.stdout.read() or b"")
        return text.encode() in b"".join(seen)

    # Printed again until it is followed: there is no other sign that it reads.
    daemon.until(lambda: daemon.order("cache", "print one") or saw("one"), "first line")
    os.rename(daemon.log / "cache.log", daemon.log / "cache.log.1")
    daemon.order("cache", "print two")
    daemon.until(lambda: saw("two"), "line in the renamed file")
    daemon.cli("reopen-logs")
    daemon.order("cache", "print three")
    daemon.until(lambda: saw("three"), "line in the new file")
    p.send_signal(signal.SIGINT)
    p.wait(DEADLINE)
    daemon.stop()


def test_logs_that_go_to_stderr_are_said_so(daemon):
    daemon.proc = daemon.spawn(**{"--log-dir": "-"})
    daemon.until_up()
    daemon.order("cache", "print to stderr")
    daemon.until(lambda: 'proc=cache' in daemon.stderr.read_text() and
                 "to stderr" in daemon.stderr.read_text(), "line on stderr")
    assert "journalctl" in daemon.cli("logs", code=1).stderr
    daemon.stop()


def test_access_is_refused_with_the_cure(daemon):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    daemon.start()
    copy = daemon.dir / "zonesync"
    shutil.copy(ZONESYNC, copy)
    daemon.dir.chmod(0o755)

    def as_nobody():
        done = subprocess.run([copy, "--socket", daemon.run / "control.sock", "status"],
                              capture_output=True, text=True, user=65534, group=65534,
                              extra_groups=[], cwd="/")
        assert done.returncode == 77, done
        return done.stderr

    assert "zonesync.control.group" in as_nobody(), "who passes through the directory may ask elsewhere in it"
    daemon.run.chmod(0o750)
    assert "sudo" in as_nobody()
    daemon.run.chmod(0o755)
    assert "zonesync.control.group" in as_nobody()
    (daemon.run / "control.sock").chmod(0o666)
    assert "access refused" in as_nobody(), "SO_PEERCRED"
    daemon.until_log("event=control_refused")
    daemon.stop()


def test_daemon_that_is_not_there_is_said_so(tmp_path):
    for verb in (["status"], ["reload"], ["list"], ["get", "API", "x"], ["quarantine"]):
        done = run("--socket", tmp_path / "control.sock", *verb, code=69)
        assert f"no zonesyncd answers at {tmp_path}/control.sock" in done.stderr
        assert "--socket PATH" in done.stderr
    env = {**os.environ, "ZONESYNC_SOCKET": str(tmp_path / "other.sock")}
    assert "other.sock" in run("status", code=69, env=env).stderr


def test_configuration_is_checked_without_a_daemon(tmp_path):
    good = tmp_path / "good.yml"
    good.write_text(run("config", "sample").stdout)
    assert run("config", "check", good).stdout == f"{good}: good\n"
    assert "standalone" in run("config", "show", good).stdout
    bad = tmp_path / "bad.yml"
    bad.write_text("zonesync:\n  lease: {ttl: 5}\n  candidate: perhaps\n")
    text = run("config", "check", bad, code=78).stderr
    assert "bad.yml:2: zonesync.lease.ttl" in text and "bad.yml:3: zonesync.candidate" in text
    run("config", "check", tmp_path / "none.yml", code=78)


def test_help_knows_groups_of_commands_and_keeps_to_80_columns():
    for args in (["help", "config"], ["config", "--help"], ["config", "-h"]):
        text = run(*args).stdout
        assert "config check" in text and "config sample" in text and "resolve" not in text
    assert "resolve key" in run("resolve", "--help").stdout
    for args in (["help"], ["help", "resync"], ["help", "setup"], ["help", "config", "check"]):
        assert max(map(len, run(*args).stdout.splitlines())) <= 80
    assert "wants a second word, such as `config check`" in run("config", "chek", code=64).stderr
    assert "wants a second word" in run("config", code=64).stderr


def test_usage_errors_end_with_64():
    assert "did you mean `status`" in run("statsu", code=64).stderr
    assert "see `zonesync help`" in run(code=64).stderr
    run("wait", code=64)
    run("wait", "--revision", "x:", code=64)
    run("watch", "--from", "abc", code=64)
    run("list", "API", "--ref", "API:", code=64)
    assert "usage: zonesync [--socket PATH] wait --revision" in run("help", "wait").stdout
    help = run("--help").stdout
    assert "stepdown" in help and "exit codes" in help


# --- the cache ---

def test_get_prints_the_exact_bytes(cache):
    payload = b'{"x":1}\n\xff\0\n'
    g = cache(lambda verb, f: [reply([event("API", "a1", payload=payload)])])
    assert run(*g.args, "get", "api", "a1", text=False).stdout == payload
    assert g.asked == [("get", {1: [b"API"], 2: [b"a1"]})]


def test_get_ends_with_a_newline_at_a_terminal(cache):
    g = cache(lambda verb, f: [reply([event("API", "a1", payload=b"{}")])])
    master, slave = pty.openpty()
    done = subprocess.run([ZONESYNC, *map(str, g.args), "get", "API", "a1"], stdout=slave,
                          timeout=DEADLINE)
    os.close(slave)
    assert (done.returncode, os.read(master, 100)) == (0, b"{}\r\n")
    os.close(master)


def test_get_joins_a_payload_of_several_replies(cache):
    whole = os.urandom(3_000_000)
    parts = [whole[i:i + 700_000] for i in range(0, len(whole), 700_000)]
    g = cache(lambda verb, f: [
        reply([event("API", "a", payload=p, whole=len(whole))], more=i + 1 < len(parts))
        for i, p in enumerate(parts)])
    assert run(*g.args, "get", "API", "a", text=False).stdout == whole


def test_get_refuses_a_payload_that_is_cut_off(cache):
    g = cache(lambda verb, f: [reply([event("API", "a", payload=b"abc", whole=5)])])
    done = run(*g.args, "get", "API", "a", code=76)
    assert done.stdout == ""


def test_get_wants_one_of_several(cache):
    g = cache(lambda verb, f: [reply([event("API_KEY", "k", ref="a1", payload=b"one"),
                                      event("API_KEY", "k", ref="a2", payload=b"two")])])
    text = run(*g.args, "get", "API_KEY", "k", code=1).stderr
    assert "--ref API:a1" in text and "--ref API:a2" in text
    assert run(*g.args, "get", "API_KEY", "k", "--ref", "API:a2").stdout == "two"
    assert run(*g.args, "get", "API_KEY", "k", "--ref", "API:a3", code=1).stdout == ""


@pytest.mark.parametrize("code,exit_code", [(1, 1), (4, 64), (5, 69), (6, 69), (9, 76)])
def test_get_maps_codes(cache, code, exit_code):
    g = cache(lambda verb, f: [reply(code=code, error="because")])
    assert "because" in run(*g.args, "get", "API", "a", code=exit_code).stderr or code == 9


def test_list_goes_through_the_pages(cache):
    def answer(verb, f):
        if 3 not in f:
            return [reply([event("API", "a")], more=True),
                    reply([event("API", "b\tb", ref="")], next="API:b")]
        assert f[3] == [b"API:b"]
        return [reply([event("API_KEY", "k", ref="a", revision=9, deployed=False)])]

    g = cache(answer)
    assert run(*g.args, "list").stdout == ("API\ta\t-\t1\tdeployed\nAPI\tb?b\t-\t1\tdeployed\n"
                                           "API_KEY\tk\ta\t9\twithdrawn\n")
    lines = [json.loads(x) for x in run(*g.args, "list", "--json").stdout.splitlines()]
    assert [x["id"] for x in lines] == ["a", "b\tb", "k"]
    run(*g.args, "list", "api-key", "--ref", "API:a")
    assert {1: [b"API_KEY"], 2: [b"a"]}.items() <= g.asked[-2][1].items()


def test_list_does_not_turn_in_circles(cache):
    g = cache(lambda verb, f: [reply([event("API", "a")], next="API:a")])
    assert "repeats" in run(*g.args, "list", code=76).stderr


def test_watch_prints_changes_and_ends_with_3_on_reset(cache):
    g = cache(lambda verb, f: [
        reply(position=("L", 4)), reply([event("API", "a", revision=5)], position=("L", 5)),
        reply([event("API", "a", revision=6, deployed=False)]), reply(code=2)])
    done = run(*g.args, "watch", "--from", "L:4", code=3)
    assert done.stdout == "5\tDEPLOY\tAPI\ta\t-\n6\tUNDEPLOY\tAPI\ta\t-\n"
    assert "history" in done.stderr
    lines = run(*g.args, "watch", "--json", code=3).stdout.splitlines()
    assert json.loads(lines[0])["position"] == "L:5"


def test_watch_ends_when_its_reader_left_though_nothing_changes(cache):
    g = cache(lambda verb, f: [reply([event("API", "a", revision=5)], position=("L", 5))])
    g.stays = True
    p = subprocess.Popen([BUILD / "supervisor/cli/zonesync", *g.args, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.readline() == b"5\tDEPLOY\tAPI\ta\t-\n"
    p.stdout.close()
    assert (p.wait(DEADLINE), p.stderr.read()) == (0, b"")


def test_watch_says_where_to_go_on_when_the_cache_ends(cache):
    g = cache(lambda verb, f: [reply([event("API", "a", revision=5)], position=("L", 5))])
    assert "--from L:5" in run(*g.args, "watch", code=69).stderr


def test_wait_ends_with_the_position(cache):
    codes = iter([6, 3, 0])
    g = cache(lambda verb, f: [reply(code=next(codes), position=("L", 8))])
    assert run(*g.args, "wait", "--revision", "L:8", "--timeout", "20").stdout == "L:8\n"
    assert [f[1] for _, f in g.asked] == [[b"L:8"]] * 3


def test_wait_ends_with_3_on_reset_and_4_in_vain(cache):
    code = [2]
    g = cache(lambda verb, f: [reply(code=code[0])])
    run(*g.args, "wait", "--revision", "7", code=3)
    code[0] = 3
    assert "in time" in run(*g.args, "wait", "--revision", "7", "--timeout", "0.05",
                            code=4).stderr
    code[0] = 6
    run(*g.args, "wait", "--revision", "7", "--timeout", "0.05", code=4)


def test_watch_says_why_it_was_cut_off(cache):
    g = cache(lambda verb, f: [reply([event("API", "a", revision=5)], position=("L", 5)),
                               b"RAW" + (lambda r: bytes([0, 0, 0, len(r)]) + r)(reply(code=7, error="not read"))])
    err = run(*g.args, "watch", code=69).stderr
    assert "not read" in err and "--from L:5" in err


def test_resolve_ends_with_0_when_a_call_may_pass_and_5_when_not(cache):
    answer = [reply(position=("L", 8)) + resolution(match(key="k", expire=1700000000000))]
    g = cache(lambda verb, f: answer)
    out = run(*g.args, "resolve", "key", "API:a", "secret").stdout
    assert out.splitlines() == ["active        yes", "subscription  s", "plan          p", "application   app",
                                "key           k", "until         2023-11-14T22:13:20Z",
                                "position      L:8, not proven"]
    assert g.asked == [("resolve key", {2: [b"a"], 3: [b"secret"]})]
    answer[0] = reply() + resolution(match(False, 1, key="k\x1b[1m"), match(False, 2))
    out = run(*g.args, "resolve", "key", "a", "secret", code=5).stdout
    assert "no: the key is revoked" in out and "1 more match" in out and "\x1b" not in out
    out = run(*g.args, "resolve", "key", "a", "secret", "--json", code=5).stdout
    assert out == ('{"found":true,"active":false,"deployed":true,"matches":['
                   '{"active":false,"why":"KEY_REVOKED","subscription":"s","plan":"p","application":"app",'
                   r'"key_id":"k\u001b[1m","api_product":"","expire_at_ms":0,"updated_ms":99,"revision":5},'
                   '{"active":false,"why":"KEY_PAUSED","subscription":"s","plan":"p","application":"app",'
                   '"key_id":"","api_product":"","expire_at_ms":0,"updated_ms":99,"revision":5}]}\n')
    got = json.loads(out)
    assert (got["found"], got["active"], got["deployed"]) == (True, False, True)
    assert [(m["why"], m["subscription"], m["revision"]) for m in got["matches"]] == [
        ("KEY_REVOKED", "s", 5), ("KEY_PAUSED", "s", 5)]
    answer[0] = reply() + resolution(match(False, 77))
    assert "does not know" in run(*g.args, "resolve", "key", "a", "x", code=5).stdout
    assert '"UNKNOWN"' in run(*g.args, "resolve", "key", "a", "x", "--json", code=5).stdout


def test_resolve_ends_with_1_when_nothing_is_found(cache):
    answer = [reply(code=1, error="none") + resolution()]
    g = cache(lambda verb, f: answer)
    done = run(*g.args, "resolve", "subscription", "API_PRODUCT:p1", "client", "--plan", "gold", code=1)
    assert done.stdout == "" and "API_PRODUCT:p1" in done.stderr
    assert g.asked == [("resolve subscription", {1: [b"API_PRODUCT"], 2: [b"p1"], 3: [b"client"], 4: [b"gold"]})]
    got = json.loads(run(*g.args, "resolve", "subscription", "a", "c", "--json", code=1).stdout)
    assert got == {"found": False, "active": False, "deployed": True, "matches": []}
    answer[0] = reply(code=1) + resolution(deployed=False)
    assert "not deployed" in run(*g.args, "resolve", "key", "a", "k", code=1).stderr
    for code, exit_code in ((0, 76), (4, 64), (6, 69), (8, 76)):
        answer[0] = reply(code=code)
        run(*g.args, "resolve", "key", "a", "k", code=exit_code)


def test_resolve_reads_the_key_from_stdin(cache):
    g = cache(lambda verb, f: [reply() + resolution(match())])
    run(*g.args, "resolve", "key", "a", "-", input="se cret\n")
    run(*g.args, "resolve", "key", "a", "-", input="x" * 1024)
    assert [f[3] for _, f in g.asked] == [[b"se cret"], [b"x" * 1024]]
    for bad in ("", "\n", "two\nlines\n", "a\0b", "x" * 1025, "x" * 100000):
        assert "no key" in run(*g.args, "resolve", "key", "a", "-", input=bad, code=64).stderr
    run(*g.args, "resolve", "key", "API:", "k", code=64)
    run(*g.args, "resolve", "key", "API_PRODUCT:", "k", code=64)
    run(*g.args, "resolve", "key", "a", code=64)
    assert "`resolve key`" in run(*g.args, "resolve", code=64).stderr
    assert len(g.asked) == 2


@pytest.mark.parametrize("junk", [
    b"RAW\xff\xff\xff\xff", b"RAW\0\0\0\4\xff\xff\xff\xff", b"RAW\0\0\0\0", b"RAW\0\0\0\2\x08\x63",
    b"RAW"])
def test_hostile_answers_are_refused(cache, junk):
    g = cache(lambda verb, f: [junk] if verb != "get" else [junk, b"RAW" + b"x" * 100])
    for verb in (["get", "API", "a"], ["list"], ["watch"], ["wait", "--revision", "1"]):
        if junk == b"RAW" and verb[0] != "watch":
            continue
        done = subprocess.run([ZONESYNC, *map(str, g.args), *verb], capture_output=True, text=True,
                              timeout=DEADLINE)
        assert done.returncode in (69, 76), done
        assert "Sanitizer" not in done.stderr


def test_the_cache_is_asked_where_the_daemon_says(daemon):
    daemon.script("cache", "start listen")
    daemon.start()
    # The fake answers each client with its pid, which is no frame.
    done = daemon.cli("get", "API", "a", code=None)
    assert done.returncode in (69, 76)
    assert str(daemon.run / "cache.sock") in done.stderr
    assert daemon.events("cache", "accepted")
    daemon.stop()
