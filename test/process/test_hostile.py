# SPDX-License-Identifier: Apache-2.0
"""A worker that breaks the protocol is ended; nobody else notices."""
import re
import signal

import pytest

from harness import Notify


def others(d, but):
    return {w["name"]: w["pid"] for w in d.status()["workers"] if w["name"] != but}


@pytest.mark.parametrize("worker,order", [
    ("fetcher", "garbage"), ("cache", "garbage"), ("elector", "oversize"),
    ("cache", "oversize"), ("fetcher", "held 1 1000 1000"), ("cache", "lost"),
    ("elector", "demoted"), ("cache", "token-lost"), ("elector", "lie"),
    ("elector", "held-long"),
])
def test_protocol_breach_ends_that_worker_alone(daemon, worker, order):
    daemon.start()
    rest = others(daemon, worker)
    pid = daemon.worker(worker)["pid"]
    daemon.order(worker, order)
    death = daemon.until_death(worker)
    assert (death["pid"], death["signal"]) == (pid, signal.SIGKILL)
    assert death["why"] == "broke the protocol"
    assert "event=child_protocol" in daemon.logs()
    daemon.until_up(worker)
    assert others(daemon, worker) == rest
    assert not daemon.events("fetcher", "promote")
    daemon.stop()


def test_text_of_a_worker_that_is_no_utf8_is_shown_and_ends_nobody(daemon):
    daemon.start()
    rest = others(daemon, None)
    daemon.order("cache", b"sick \xff\xfe of caf\xc3\xa9")
    daemon.until(lambda: daemon.status()["reason"] == "\\xff\\xfe of caf\u00e9", "the reason")
    assert others(daemon, None) == rest
    daemon.stop()


def test_reason_of_a_worker_is_one_line_for_systemd(daemon):
    notify = Notify(daemon.dir / "notify")
    daemon.env = {"NOTIFY_SOCKET": notify.path}
    daemon.start()
    daemon.order("cache", "sick first\nMAINPID=1")
    daemon.until(lambda: any("first" in m for m in notify.messages()), "STATUS")
    assert "STATUS=secondary, degraded: first MAINPID=1" in notify.got
    daemon.stop()
    notify.close()


def test_worker_that_closes_its_channel_and_goes_on_is_killed(daemon):
    daemon.start()
    rest = others(daemon, "elector")
    daemon.order("elector", "close-channel")
    death = daemon.until_death("elector")
    assert (death["why"], death["signal"]) == ("closed its channel", signal.SIGKILL)
    daemon.until_up("elector")
    assert others(daemon, "elector") == rest
    daemon.stop()


def test_flood_of_reports_starves_nobody(daemon):
    daemon.start()
    rest = others(daemon, "cache")
    daemon.order("cache", "flood-channel 20000")
    daemon.order("elector", "print still here")
    daemon.until_log("still here", "elector")
    daemon.until_event("cache", "flooded")
    assert others(daemon, "cache") == rest
    assert not daemon.deaths("elector") and not daemon.deaths("fetcher")
    daemon.stop()


def test_flood_of_output_is_logged_and_starves_nobody(daemon):
    daemon.start()
    daemon.order("fetcher", "flood-stdout 20000")
    daemon.cli("status", code=None)
    daemon.until_event("fetcher", "flooded")
    daemon.until_log(r"flood 19999 ", "fetcher")
    assert not daemon.deaths("elector") and not daemon.deaths("cache")
    daemon.stop()


def test_output_lands_in_the_log_under_the_workers_name(daemon):
    daemon.start()
    text = "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1"
    daemon.order("cache", f"print {text}")
    daemon.order("cache", "abort")
    death = daemon.until_death("cache")
    assert death["signal"] == signal.SIGABRT
    line = daemon.until_log(r".*AddressSanitizer.*", "cache").group(0)
    assert re.search(r"level=warn proc=cache .*event=stderr", line)
    assert text in line
    daemon.until_up("cache")
    daemon.stop()


def test_output_cannot_forge_a_line_of_the_log(daemon):
    daemon.start()
    daemon.order("cache", "print ts=2026-01-01T00:00:00.000Z level=error \x1b[2J \"x\"")
    daemon.until_log(r'line="ts=2026-01-01T00:00:00.000Z level=error \\u001b\[2J \\"x\\""',
                     "cache")
    daemon.stop()
