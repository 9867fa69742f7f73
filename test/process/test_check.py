# SPDX-License-Identifier: Apache-2.0
"""A configuration is judged by the workers that will read it: `config check` and `reload` ask them."""
import os
import signal
import subprocess
import time

import pytest

from harness import BUILD, DEADLINE, WORKERS, children, until

ZONE = "zonesync.zone.id: z\nservices.sync.distributed.enabled: true\ndistributed-sync: {type: redis}\n"


@pytest.fixture
def libexec(tmp_path):
    """The real workers."""
    for w in WORKERS:
        (tmp_path / f"zonesync-{w}").symlink_to(BUILD / "workers" / w / f"zonesync-{w}")
    return tmp_path


@pytest.fixture
def check(libexec):
    def run(text, *args, code, path="-"):
        done = subprocess.run([BUILD / "supervisor/cli/zonesync", "config", "check", *args, path], input=text, text=True,
                              capture_output=True, timeout=DEADLINE,
                              env={**os.environ, "ZONESYNC_LIBEXEC_DIR": str(libexec)})
        assert done.returncode == code, done
        assert "Sanitizer" not in done.stderr
        return done.stderr
    return run


@pytest.mark.parametrize("source, says", [
    ("mongodb, mongodb: {uri: 'mongodb://u:hunter2%ss@h/g'}", "management.mongodb.uri: a % in user or password"),
    ("mongodb, mongodb: {uri: 'mongodb://u:hunter2@ss@h'}", "management.mongodb.uri: user and password have an @"),
    ("mongodb, mongodb: {uri: 'mongodb://h/?readPreference=foo'}", "management.mongodb.uri: Unsupported readPreference"),
    ("mongodb, mongodb: {uri: 'mongodb://h/?tls=true&ssl=false'}", "management.mongodb.uri: Deprecated option"),
    ("mongodb, mongodb: {uri: 'mongodb://h:0'}", "management.mongodb.uri: a port is none"),
    ("mongodb, mongodb: {sslEnabled: true, truststore: {path: /nowhere}}", "management.mongodb.truststore: /nowhere: No such"),
    ("jdbc, jdbc: {url: 'jdbc:postgresql://u:hunter2@h/g'}", "management.jdbc.url: user and password cannot"),
    ("jdbc, jdbc: {url: 'jdbc:postgresql://h/g?targetServerType=foo'}", "management.jdbc.url: targetServerType"),
    ("jdbc, jdbc: {url: 'jdbc:postgresql://localhost/g', timezone: Mars/Olympus}", "management.jdbc.timezone: `Mars"),
    ("file, file: {path: /nowhere}", "management.file.path: /nowhere: No such file"),
])
def test_what_a_worker_would_refuse_is_refused_with_its_line_and_key(check, source, says):
    text = check(f"{ZONE}management: {{type: {source}}}\n", code=78)
    assert f"(stdin):4: {says}" in text
    assert "hunter2" not in text


def test_warnings_are_errors_when_asked_for(check, tmp_path):
    text = "management: {type: file, file: {path: %s}}\n" % tmp_path
    assert check(text, code=0) == ""
    weak = text + "zonesync.guard.mode: 'off'\n"
    assert check(weak, code=0).startswith("warning: ")
    assert "1 problem" in check(weak, "--strict", code=78)


def test_a_warning_of_a_worker_counts_as_one(check):
    text = "management: {type: mongodb, mongodb: {uri: 'mongodb://localhost/?nonsense=1'}}\n"
    assert "(stdin):1: management.mongodb.uri: has an option" in check(text, code=0)
    check(text, "--strict", code=78)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_what_this_user_may_not_read_is_not_checked(daemon):
    for w in WORKERS:
        (daemon.fake / f"zonesync-{w}").unlink()
        (daemon.fake / f"zonesync-{w}").symlink_to(BUILD / "workers" / w / f"zonesync-{w}")
    daemon.dir.chmod(0o755)
    secret = daemon.dir / "keys"
    secret.mkdir(mode=0o700)
    text = f"management: {{type: file, file: {{path: {secret}}}}}\n"
    done = subprocess.run([BUILD / "supervisor/cli/zonesync", "config", "check", "--strict", "-"], input=text, text=True,
                          capture_output=True, timeout=DEADLINE, user=65534, group=65534, extra_groups=[],
                          env={**os.environ, "ZONESYNC_LIBEXEC_DIR": str(daemon.fake), "LSAN_OPTIONS": "detect_leaks=0"})
    if "cannot be started" in done.stderr:
        pytest.skip("another user cannot reach the build directory")
    assert done.returncode == 0 and f"not checked: (stdin):1: management.file.path: {secret}: Permission denied" in done.stderr


def test_a_pipe_is_read_to_its_end(libexec, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR)  # a writer that has said nothing yet
    done = subprocess.Popen([BUILD / "supervisor/cli/zonesync", "config", "check", fifo], stderr=subprocess.PIPE,
                            env={**os.environ, "ZONESYNC_LIBEXEC_DIR": str(libexec)}, text=True)
    until(lambda: str(fifo) in opened(done.pid), "it waits for what comes")
    os.write(end, b"zonesync.lease.ttl: 5\n")
    os.close(end)
    assert "fifo:1: zonesync.lease.ttl" in done.communicate(timeout=DEADLINE)[1]
    assert done.returncode == 78


def opened(pid):
    try:
        return [os.readlink(f) for f in os.scandir(f"/proc/{pid}/fd")]
    except OSError:
        return []


def test_workers_that_do_not_answer_are_no_fault_of_the_file(daemon):
    (daemon.fake / "zonesync-elector").unlink()
    done = daemon.cli("config", "check", daemon.config)
    assert "not checked: what the elector reads: " in done.stderr and "cannot be started" in done.stderr


def test_a_worker_that_objects_keeps_a_reload_from_happening(daemon):
    daemon.start()
    before = [daemon.worker(w)["pid"] for w in WORKERS]
    (daemon.fake / "fetcher.check").write_text("management.file.path: is not for me")
    daemon.configure(sync_delay=6000)
    done = daemon.cli("reload", code=78)
    assert "zonesync.yml:11: management.file.path: is not for me" in done.stdout
    assert "the configuration was not changed" in done.stdout
    assert [daemon.worker(w)["pid"] for w in WORKERS] == before
    (daemon.fake / "fetcher.check").unlink()
    assert "restarting fetcher" in daemon.cli("reload").stdout
    daemon.stop()


def test_the_daemon_answers_while_it_asks_and_stops_at_once(daemon):
    daemon.start()
    (daemon.fake / "cache.check").write_text("hang")
    asking = subprocess.Popen([BUILD / "supervisor/cli/zonesync", "--socket", daemon.run / "control.sock", "reload"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    daemon.procs.append(asking)
    hung = until(lambda: [p for p in children(daemon.proc.pid) if b"--check" in cmdline(p)], "it asks")
    assert daemon.status()["health"] != "degraded"
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < DEADLINE
    assert not [p for p in hung if b"--check" in cmdline(p)], "who was asked is gone"
    assert "stopping" in asking.communicate(timeout=DEADLINE)[1]


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


def test_a_file_that_changed_while_it_was_read_is_read_again(daemon):
    daemon.start()
    (daemon.fake / "cache.check").write_text("hang")
    daemon.proc.send_signal(signal.SIGHUP)
    until(lambda: [p for p in children(daemon.proc.pid) if b"--check" in cmdline(p)], "it asks")
    (daemon.fake / "cache.check").unlink()
    daemon.configure(sync_delay=6000)
    daemon.proc.send_signal(signal.SIGHUP)
    daemon.until_event("fetcher", "ready", n=2)
    assert daemon.logs().count("event=reloaded") == 1
    daemon.stop()


def test_the_reason_of_a_worker_that_gave_up_is_in_the_status(libexec, daemon):
    (daemon.fake / "zonesync-fetcher").unlink()
    (daemon.fake / "zonesync-fetcher").symlink_to(libexec / "zonesync-fetcher")
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("type: file, file:", "type: mongodb, mongodb: {uri: 'mongodb://h:0'}, file:"))
    daemon.start(wait=False)
    daemon.until(lambda: daemon.worker("fetcher")["state"] == "given up", "given up")
    assert daemon.worker("fetcher")["error"].startswith("management.mongodb.uri: a port is none of")
    shown = " ".join(daemon.cli("status", code=1).stdout.split())
    assert "the fetcher cannot work with this configuration: management.mongodb.uri: a port" in shown
    assert "reason=\"management.mongodb.uri: a port is none" in daemon.logs()
    daemon.stop()
