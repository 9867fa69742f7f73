# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: locks, signals, logs, systemd, its listener."""
import grp
import os
import shutil
import signal
import socket
import subprocess

import pytest

from harness import DEADLINE, Notify, until


def pids(d):
    return {w["name"]: w["pid"] for w in d.status()["workers"]}


def generations(d):
    return {w["name"]: w["generation"] for w in d.status()["workers"]}


def test_second_start_on_the_same_state_is_refused(daemon):
    daemon.start()
    second = daemon.spawn(**{"--run-dir": daemon.dir / "run2", "--log-dir": daemon.dir / "log2"})
    assert second.wait(DEADLINE) == 75
    text = daemon.stderr.read_text()
    assert f"another zonesyncd runs on {daemon.state}" in text
    assert "--state-dir" in text
    daemon.until_up()  # the first one's sockets are untouched
    daemon.stop()


def test_second_start_on_the_same_sockets_is_refused(daemon):
    daemon.start()
    second = daemon.spawn(**{"--state-dir": daemon.dir / "state2", "--log-dir": daemon.dir / "log2"})
    assert second.wait(DEADLINE) == 75
    assert f"another zonesyncd runs on {daemon.run}" in daemon.stderr.read_text()
    assert "--run-dir" in daemon.stderr.read_text()
    daemon.until_up()
    daemon.stop()


@pytest.mark.parametrize("which", ["state", "run", "log"])
def test_start_on_a_directory_that_anybody_may_write_is_refused(daemon, which):
    path = daemon.dir / which
    path.mkdir()
    path.chmod(0o1777)
    assert daemon.spawn().wait(DEADLINE) == 78
    assert f"anybody may write to {path}: chmod o-w {path}, or give another --{which}-dir" in daemon.stderr.read_text()
    path.chmod(0o750)
    daemon.start()
    daemon.stop()


def test_no_link_is_followed_in_the_directories(daemon):
    daemon.start()
    daemon.stop()
    precious = daemon.dir / "precious"
    precious.write_text("precious")
    for link in (daemon.state / "node-id", daemon.log / "supervisor.log", daemon.log / "cache.log"):
        link.unlink(missing_ok=True)
        link.symlink_to(precious)
    assert daemon.spawn().wait(DEADLINE) != 0
    (daemon.state / "node-id").unlink()
    (daemon.state / "nonce.new").symlink_to(precious)
    daemon.start()
    daemon.until(lambda: daemon.status()["health"] == "degraded", "degraded")
    daemon.stop()
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("how", ["directory", "sockets"])
def test_run_directory_that_is_removed_is_made_anew_with_its_sockets(daemon, how):
    daemon.start()
    before = pids(daemon)
    if how == "directory":
        shutil.rmtree(daemon.run)
    else:
        for s in daemon.run.iterdir():
            s.unlink()
    daemon.until(lambda: daemon.status() is not None, "it answers again")
    daemon.until_up()
    after = pids(daemon)
    assert {w for w in before if before[w] != after[w]} == {"cache"}  # who listens there
    assert {p.name for p in daemon.run.iterdir()} == {"control.sock", "cache.sock", "http.sock"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(str(daemon.run / "cache.sock"))
    if how == "directory":
        assert "event=dir_made_anew" in daemon.logs()
    daemon.stop()
    assert not list(daemon.run.iterdir())


def test_directory_that_cannot_be_made_anew_is_said_and_tried_again(daemon):
    notify = Notify(daemon.dir / "notify")
    daemon.env = {"NOTIFY_SOCKET": notify.path}
    daemon.start()
    shutil.rmtree(daemon.run)
    daemon.run.write_text("no directory")
    daemon.until(lambda: any("degraded: open " in m for m in notify.messages()), "STATUS")
    daemon.until_log("event=dir_gone")
    daemon.run.unlink()
    daemon.until(lambda: daemon.status() is not None, "it answers again")
    daemon.until_up()
    daemon.until(lambda: daemon.status()["health"] != "degraded", "well")
    notify.close()
    daemon.stop()


def test_start_with_a_broken_configuration_is_refused(daemon):
    daemon.config.write_text("zonesync: {candidate: maybe}\n")
    assert daemon.spawn().wait(DEADLINE) == 78
    assert "zonesync.yml" in daemon.stderr.read_text()


def test_broken_configuration_on_sighup_changes_nothing(daemon):
    daemon.start()
    before = pids(daemon)
    good = daemon.config.read_text()
    daemon.config.write_text("zonesync: [\n")
    daemon.proc.send_signal(signal.SIGHUP)
    daemon.until_log("event=reload_refused")
    assert pids(daemon) == before
    done = daemon.cli("reload", code=78)
    assert "the configuration was not changed" in done.stdout
    daemon.config.unlink()
    assert "zonesync.yml: No such file" in daemon.cli("reload", code=78).stderr
    daemon.config.write_text(good)
    daemon.proc.send_signal(signal.SIGHUP)
    daemon.until_log("event=reloaded")
    assert pids(daemon) == before, "nothing changed"
    daemon.stop()


def test_who_did_what_is_logged_once(daemon):
    daemon.start()
    daemon.cli("restart", "fetcher")
    daemon.cli("stepdown", code=1)
    daemon.cli("reload")
    daemon.cli("status", code=None)
    lines = [x for x in daemon.logs().splitlines() if "event=control " in x]
    assert len(lines) == 3, "what changes nothing is not told"
    assert f"verb=restart uid={os.getuid()} pid=" in lines[0] and "code=0" in lines[0]
    assert "verb=stepdown" in lines[1] and "code=1" in lines[1] and "not the primary" in lines[1]
    assert "verb=reload" in lines[2] and "code=0" in lines[2]
    daemon.stop()


def test_reload_restarts_only_the_workers_whose_part_changed(daemon):
    daemon.start()
    before = pids(daemon)
    daemon.configure(extra="  follow: {poll_min: 500}")
    daemon.proc.send_signal(signal.SIGHUP)
    daemon.until_log("event=reloaded")
    daemon.until_event("cache", "ready", n=2)
    daemon.until_up()
    after = pids(daemon)
    assert after["cache"] != before["cache"]
    assert (after["elector"], after["fetcher"]) == (before["elector"], before["fetcher"])
    daemon.configure(extra="  follow: {poll_min: 500}", sync_delay=6000)
    assert "restarting fetcher" in daemon.cli("reload").stdout
    daemon.until_event("fetcher", "ready", n=2)
    daemon.until_up()
    last = pids(daemon)
    assert last["fetcher"] != before["fetcher"]
    assert (last["elector"], last["cache"]) == (after["elector"], after["cache"])
    daemon.stop()


def test_what_is_logged_changes_without_a_restart(daemon):
    daemon.start()
    before = pids(daemon)
    daemon.configure(level="debug")
    done = daemon.cli("reload")
    assert "cache: level and form of its log changed" in done.stdout and "restarting" not in done.stdout
    assert daemon.until_event("cache", "log").args == ["level=debug", "json=0"]
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("log: {levels: {cache: debug}}", "log: {level: error, format: json}"))
    daemon.cli("reload")
    for w in ("elector", "fetcher"):
        assert daemon.until_event(w, "log").args == ["level=error", "json=1"]
    assert daemon.until_event("cache", "log", n=2).args == ["level=error", "json=1"]
    assert pids(daemon) == before
    daemon.config.write_text(text.replace("log: {levels: {cache: debug}}", "log: {level: warn, format: json}"))
    daemon.cli("reload")
    # Who is started later has it, too.
    daemon.cli("restart", "cache")
    assert "level=warn" in daemon.until_event("cache", "configure", n=2).args
    daemon.stop()


def test_reload_says_what_waits_for_a_restart_and_what_moves(daemon):
    daemon.start()
    daemon.until_event("elector", "stand")
    daemon.order("elector", "held 1 600000 600000")
    daemon.until_event("fetcher", "promote")
    daemon.configure(extra="  control: {group: nogroup}", sync_delay=6000)
    text = daemon.cli("reload").stdout
    assert "zonesync.control.group: changes when the daemon is restarted" in text
    assert "restarting fetcher: its part changed; the primary role moves, if another node stands" in text
    daemon.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_gateways_have_a_group_that_steers_nothing(daemon):
    daemon.configure(extra="  gateway: {group: games}\n  control: {group: nogroup}")
    daemon.start()
    daemon.dir.chmod(0o755)
    games, nogroup = grp.getgrnam("games").gr_gid, grp.getgrnam("nogroup").gr_gid

    def group_of(name):
        st = (daemon.run / name).stat()
        assert st.st_mode & 0o777 == 0o660
        return st.st_gid

    def may(group, name):
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(daemon.run / name)!r})"
        return subprocess.run(["/usr/bin/python3", "-c", code], user=65533, group=group, extra_groups=[],
                              stderr=subprocess.DEVNULL).returncode == 0

    for name in ("cache.sock", "http.sock"):
        assert group_of(name) == games and may(games, name) and not may(nogroup, name)
    assert group_of("control.sock") == nogroup and may(nogroup, "control.sock") and not may(games, "control.sock")
    # Made anew it is theirs, too.
    (daemon.run / "cache.sock").unlink()
    daemon.until(lambda: (daemon.run / "cache.sock").exists() and group_of("cache.sock") == games, "made anew")
    daemon.stop()


def test_a_group_that_is_not_there_is_told_with_its_key(daemon):
    daemon.configure(extra="  gateway: {group: nobodys-group}")
    assert daemon.spawn().wait(DEADLINE) == 78
    assert "zonesync.gateway.group: there is no group nobodys-group" in daemon.stderr.read_text()


def test_another_zone_is_not_entered_by_mistake(daemon):
    daemon.start()
    before = pids(daemon)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("test-zone", "other"))
    done = daemon.cli("reload", code=78)
    assert "zonesync.yml:4: zonesync.zone.id: would move this node from the zone `test-zone` to `other`" in done.stdout
    assert "zonesync reload --zone other" in done.stdout
    daemon.cli("reload", "--zone", "third", code=78)
    assert pids(daemon) == before
    done = daemon.cli("reload", "--zone", "other")
    assert "restarting cache" in done.stdout and "what it wrote stays in Redis" in done.stdout
    daemon.until(lambda: daemon.status()["zone"] == "other", "moved")
    daemon.cli("reload", "--zone", "other")
    daemon.stop()


def test_sigusr1_reopens_the_logs_after_a_rename(daemon):
    daemon.start()
    for name in ("supervisor", "cache"):
        os.rename(daemon.log / f"{name}.log", daemon.log / f"{name}.log.1")
    daemon.proc.send_signal(signal.SIGUSR1)
    daemon.until_log("event=logs_reopened")
    daemon.order("cache", "print after the rename")
    daemon.until_log("after the rename", "cache")
    assert "after the rename" not in (daemon.log / "cache.log.1").read_text()
    daemon.until_event("cache", "reopen")
    os.rename(daemon.log / "supervisor.log", daemon.log / "supervisor.log.2")
    daemon.cli("reopen-logs")
    daemon.until_log("event=logs_reopened")
    daemon.stop()


def test_systemd_hears_of_start_status_reload_and_stop(daemon):
    notify = Notify(daemon.dir / "notify")
    daemon.env = {"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "100000"}
    daemon.script("cache", "start mute")
    daemon.start(wait=False)
    daemon.until_event("cache", "configure")
    daemon.until(lambda: "WATCHDOG=1" in notify.messages(), "WATCHDOG")
    assert "READY=1" not in notify.got
    daemon.order("cache", "ready")
    daemon.until(lambda: "READY=1" in notify.messages(), "READY")
    daemon.order("cache", "serving")
    daemon.until(lambda: "STATUS=secondary, ok" in notify.messages(), "STATUS")
    daemon.proc.send_signal(signal.SIGHUP)
    daemon.until(lambda: any(m.startswith("RELOADING=1\nMONOTONIC_USEC=")
                             for m in notify.messages()), "RELOADING")
    daemon.until(lambda: notify.messages().count("READY=1") == 2, "READY after the reload")
    daemon.stop()
    assert "STOPPING=1" in notify.messages()
    notify.close()


def test_client_that_connects_while_the_cache_is_down_is_served_by_the_next(daemon):
    daemon.script("cache", "start listen")
    daemon.start()
    path = str(daemon.run / "cache.sock")

    def connect():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(DEADLINE)
        s.connect(path)
        return s

    with connect() as s:
        assert int(s.makefile().read()) == daemon.worker("cache")["pid"]
    # The next one does not come up before the client is there.
    daemon.script("cache", "start listen", "start hang-until accept-now")
    daemon.order("cache", "exit 1")
    daemon.until_death("cache")
    daemon.until_event("cache", "hanging")
    with connect() as s:
        (daemon.fake / "accept-now").touch()
        assert int(s.makefile().read()) == daemon.events("cache", "start")[-1].pid
    daemon.until_up()
    daemon.stop()


def test_sigterm_during_the_start_is_honoured(daemon):
    for w in ("elector", "fetcher", "cache"):
        daemon.script(w, "start mute")
    daemon.start(wait=False)
    daemon.until_event("cache", "configure")
    daemon.stop()


def test_restart_during_the_stop_is_refused(daemon):
    daemon.time_scale = 40
    daemon.script("fetcher", "start deaf")
    daemon.start()
    daemon.proc.send_signal(signal.SIGTERM)
    daemon.until_event("fetcher", "ignored")
    assert "stopping" in daemon.cli("restart", "elector", code=1).stderr
    assert "stopping" in daemon.cli("restart", "fetcher", code=1).stderr
    assert "stopping" in daemon.cli("reload", code=1).stderr
    daemon.stop()
    assert len(daemon.events(what="start")) == 3


def test_control_socket_closes_on_garbage_and_lives(daemon):
    daemon.start()
    path = str(daemon.run / "control.sock")
    for junk in (b"\xff\xff\xff\xff", b"\0\0\0\4\xff\xff\xff\xff", b"\0\0\0\5\x0a\x03\xff\xfe\xfd"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(DEADLINE)
            s.connect(path)
            s.sendall(junk)
            assert s.recv(100) == b""
    daemon.until_up()
    daemon.stop()


def test_control_socket_bounds_its_peers(daemon):
    daemon.start()
    path = str(daemon.run / "control.sock")
    peers = []
    for _ in range(40):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.connect(path)
        peers.append(s)
    daemon.until_log("event=control_full")
    daemon.cli("status", code=69)
    for s in peers:
        s.close()
    daemon.until(lambda: daemon.status() is not None, "it answers again")
    daemon.stop()


def test_idle_peers_do_not_hinder_the_stop(daemon):
    daemon.start()
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(str(daemon.run / "control.sock"))
    daemon.stop()
    s.close()
