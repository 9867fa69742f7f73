# SPDX-License-Identifier: Apache-2.0
"""Start, readiness, restarts, ends: what the supervisor does with one worker."""
import os
import signal
from pathlib import Path

from harness import WORKERS, alive, children, state_of


def others(d, but):
    return {w["name"]: w["pid"] for w in d.status()["workers"] if w["name"] != but}


def test_readiness_is_announced_not_guessed(daemon):
    daemon.script("elector", "start mute")
    daemon.start(wait=False)
    daemon.until_up("cache", "fetcher")
    daemon.until_event("elector", "configure")
    assert daemon.worker("elector")["state"] == "starting"
    daemon.order("elector", "ready")
    daemon.until_up("elector")
    daemon.stop()


def test_worker_that_is_never_ready_is_killed_and_waits_longer_each_time(daemon):
    daemon.time_scale = 5
    daemon.script("fetcher", "start mute")
    daemon.start(wait=False)
    daemon.until_up("cache", "elector")
    daemon.until_death("fetcher", n=3)
    deaths = daemon.deaths("fetcher")
    assert all(d["signal"] == signal.SIGKILL for d in deaths)
    assert all(d["why"] == "was not ready in time" for d in deaths)
    # Between the end of one and the start of the next: at once, then 1 s doubling (scaled).
    pauses = [b["at_ms"] - b["uptime_ms"] - a["at_ms"] for a, b in zip(deaths, deaths[1:])]
    assert pauses[0] < pauses[1], pauses
    daemon.stop()


def test_backoff_grows_from_death_to_death(daemon):
    daemon.script("fetcher", "start exit 70")
    daemon.start(wait=False)
    daemon.until_up("cache", "elector")
    daemon.until_death("fetcher", n=6)
    deaths = daemon.deaths("fetcher")
    pauses = [b["at_ms"] - b["uptime_ms"] - a["at_ms"] for a, b in zip(deaths, deaths[1:])]
    assert all(a < b for a, b in zip(pauses, pauses[1:])), pauses
    daemon.stop()


def test_death_ring_is_degraded_and_the_supervisor_lives(daemon):
    daemon.script("fetcher", "start exit 1")
    daemon.start(wait=False)
    daemon.until_up("cache", "elector")
    daemon.until(lambda: daemon.status()["health"] == "degraded", "degraded")
    st = daemon.status()
    assert st["reason"].endswith("keeps dying: see `zonesync logs %s`" % st["reason"].split()[1])
    assert daemon.worker("fetcher")["error"] == "keeps dying"
    assert daemon.cli("status", code=1).stdout.count("exit 1") > 0
    # It goes on trying, and a fetcher that works again is used.
    daemon.script("fetcher")
    daemon.until_up("fetcher")
    daemon.stop()


def test_death_ring_is_forgotten_after_health(daemon):
    daemon.time_scale = 5
    daemon.script("fetcher", "start exit 1")
    daemon.script("cache", "ready serving")
    daemon.start(wait=False)
    daemon.until(lambda: (daemon.status() or {}).get("health") == "degraded", "degraded")
    daemon.script("fetcher")
    daemon.until_up("fetcher")
    daemon.until(lambda: daemon.status()["health"] == "ok", "healthy again")
    daemon.stop()


def test_exit_78_is_not_restarted_until_reload(daemon):
    daemon.script("cache", "configure exit 78")
    daemon.start(wait=False)
    daemon.until(lambda: daemon.worker("cache")["state"] == "given up", "given up")
    assert daemon.status()["health"] == "degraded"
    assert len(daemon.events("cache", "start")) == 1
    daemon.script("cache")
    daemon.cli("reload")
    daemon.until_up("cache")
    assert len(daemon.events("cache", "start")) == 2
    daemon.stop()


def test_worker_that_ignores_term_is_killed(daemon):
    daemon.script("elector", "start deaf")
    daemon.start()
    pid = daemon.worker("elector")["pid"]
    daemon.cli("restart", "elector")
    death = daemon.until_death("elector")
    assert (death["pid"], death["signal"]) == (pid, signal.SIGKILL)
    assert death["why"] == "did not stop in time"
    assert daemon.events("elector", "ignored")
    daemon.until_up("elector")
    daemon.stop()


def test_only_ends_that_nobody_asked_for_are_failures(daemon):
    daemon.start()
    daemon.cli("restart", "cache")
    daemon.until(lambda: daemon.worker("cache")["generation"] == 2, "restarted")
    daemon.configure(sync_delay=6000)
    daemon.cli("reload")
    daemon.until(lambda: daemon.worker("fetcher")["generation"] == 2, "restarted")
    assert [daemon.worker(w)["failures"] for w in WORKERS] == [0, 0, 0]
    daemon.until_up()
    os.kill(daemon.worker("cache")["pid"], signal.SIGKILL)
    daemon.until(lambda: daemon.worker("cache")["failures"] == 1, "counted")
    daemon.until_up()
    assert "failures" in daemon.cli("status", code=None).stdout
    daemon.stop()


def test_stalled_worker_is_killed(daemon):
    daemon.start()
    rest = others(daemon, "fetcher")
    daemon.order("fetcher", "stall")
    death = daemon.until_death("fetcher")
    assert death["why"] == "stalled: no heartbeat"
    daemon.until_up("fetcher")
    assert others(daemon, "fetcher") == rest
    daemon.stop()


def test_stopped_process_is_killed(daemon):
    daemon.start()
    daemon.order("cache", "sigstop")
    death = daemon.until_death("cache")
    assert (death["why"], death["signal"]) == ("stalled: no heartbeat", signal.SIGKILL)
    daemon.until_up("cache")
    daemon.stop()


def test_stopped_process_can_be_asked_to_end(daemon):
    daemon.time_scale = 100
    daemon.start()
    pid = daemon.worker("cache")["pid"]
    daemon.order("cache", "sigstop")
    daemon.until(lambda: state_of(pid) == "T", "stopped")
    daemon.cli("restart", "cache")
    daemon.until(lambda: not alive(pid), "gone", deadline=4)
    daemon.until_up("cache")
    assert daemon.deaths("cache")[0]["exit_code"] == 0
    daemon.stop()


def test_stop_leaves_neither_zombie_nor_orphan(daemon):
    daemon.start()
    pids = [w["pid"] for w in daemon.status()["workers"]]
    for name in WORKERS:
        daemon.cli("restart", name)
    for name in WORKERS:
        daemon.until_event(name, "ready", n=2)
    daemon.until(lambda: not any(map(alive, pids)), "old ones are gone")
    daemon.until_up()
    sup = daemon.proc.pid
    assert all(state_of(p) != "Z" for p in children(sup))
    assert sorted(children(sup)) == sorted(w["pid"] for w in daemon.status()["workers"])
    pids = children(sup)
    daemon.stop()
    assert not any(map(alive, pids))


def test_stop_order_is_fetcher_elector_cache(daemon):
    daemon.start()
    daemon.stop()
    ends = [e.worker for e in daemon.events() if e.what in ("stop", "term")]
    assert ends == ["fetcher", "elector", "cache"]
    assert not list(daemon.run.iterdir()), "sockets are removed"


def test_stop_ends_workers_that_ignore_it(daemon):
    for name in WORKERS:
        daemon.script(name, "start deaf")
    daemon.start()
    pids = children(daemon.proc.pid)
    daemon.stop()
    assert not any(map(alive, pids))


def test_kill_of_the_supervisor_ends_the_workers(daemon):
    daemon.start()
    pids = {w["name"]: w["pid"] for w in daemon.status()["workers"]}
    daemon.strangers += pids.values()
    daemon.proc.kill()
    daemon.proc.wait()
    daemon.until(lambda: not alive(pids["fetcher"]), "fetcher is gone", deadline=2)
    assert not daemon.events("fetcher", "stop") and not daemon.events("fetcher", "term")
    for name in ("elector", "cache"):
        daemon.until(lambda: not alive(pids[name]), f"{name} is gone", deadline=5)
    assert daemon.events("cache", "eof")
    # What it left behind does not hinder the next one.
    daemon.start()
    daemon.stop()


def test_workers_get_their_descriptors_and_no_other(daemon):
    for name in WORKERS:
        daemon.script(name, "start fds")
    daemon.start()
    daemon.cli("restart", "fetcher")
    daemon.until_event("fetcher", "fds", n=2)
    assert daemon.events("cache", "fds")[0].args == ["0", "1", "2", "3", "4", "5"]
    assert daemon.events("elector", "fds")[0].args == ["0", "1", "2", "3"]
    assert [e.args for e in daemon.events("fetcher", "fds")] == [["0", "1", "2", "3"]] * 2
    daemon.until_up()
    daemon.stop()


def test_workers_inherit_no_more_of_the_environment_than_they_need(daemon):
    no = {"PGHOST": "elsewhere", "gravitee_ds_redis_password": "secret", "HOME": "/nowhere", "ASAN": "a part of a name"}
    yes = {"SSL_CERT_FILE": "/certs", "ASAN_OPTIONS": "exitcode=99"}
    daemon.env = {**no, **yes}
    daemon.start()
    for name in WORKERS:
        got = Path(f"/proc/{daemon.worker(name)['pid']}/environ").read_text().split("\0")
        assert {f"{k}={v}" for k, v in yes.items()} <= set(got)
        assert not {*no, "PYTEST_CURRENT_TEST"} & {v.partition("=")[0] for v in got}
    daemon.stop()


def test_grandchild_that_holds_the_channel_does_not_hide_a_death(daemon):
    daemon.start()
    daemon.order("fetcher", "fork-keep")
    pid = int(daemon.until_event("fetcher", "forked").args[0])
    daemon.strangers.append(pid)
    daemon.order("fetcher", "exit 3")
    death = daemon.until_death("fetcher")
    assert death["exit_code"] == 3
    daemon.until_event("fetcher", "ready", n=2)
    daemon.until_up()
    daemon.stop()


def test_grandchild_is_no_zombie_when_it_ends(daemon):
    daemon.start()
    daemon.order("fetcher", "fork")
    pid = int(daemon.until_event("fetcher", "forked").args[0])
    daemon.strangers.append(pid)
    daemon.order("fetcher", "exit 0")
    daemon.until_death("fetcher")
    daemon.until(lambda: pid in children(daemon.proc.pid), "it is the supervisor's now")
    os.kill(pid, signal.SIGKILL)
    daemon.until(lambda: state_of(pid) is None, "reaped")
    daemon.stop()


def test_report_of_a_dead_worker_is_not_taken_for_the_next_ones(daemon):
    daemon.start()
    daemon.order("fetcher", "quarantine 1")
    daemon.until(lambda: (daemon.status()["fetcher"] or {}).get("quarantined") == 1, "reported")
    daemon.script("fetcher", "start mute", "start stall")
    daemon.order("fetcher", "exit 1")
    daemon.until_event("fetcher", "configure", n=2)
    assert daemon.status()["fetcher"] is None
    daemon.stop()


def test_missing_executable_is_a_death_like_another(daemon):
    daemon.proc = daemon.spawn(**{"--libexec-dir": daemon.dir / "nowhere"})
    daemon.until(lambda: (daemon.status() or {}).get("health") == "degraded", "degraded")
    assert daemon.deaths("cache")[0]["why"] == "could not be started"
    assert "event=spawn_failed" in daemon.logs()
    daemon.stop()


def test_a_node_alone_whose_source_is_silent_is_degraded(daemon):
    daemon.config.write_text(daemon.config.read_text().replace("enabled: true", "enabled: false"))
    daemon.start(wait=False)
    daemon.until_up("cache", "fetcher")
    daemon.order("cache", "serving")
    daemon.until(lambda: daemon.status()["health"] == "ok", "fine")
    daemon.order("fetcher", "source gone")
    st = daemon.until(lambda: (s := daemon.status())["health"] == "degraded" and s, "degraded")
    assert st["reason"] == "the source is not heard"
    daemon.order("fetcher", "source back")
    daemon.until(lambda: daemon.status()["health"] == "ok", "fine again")
    assert "alone" in daemon.cli("stepdown", code=1).stderr
    daemon.stop()
