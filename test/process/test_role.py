# SPDX-License-Identifier: Apache-2.0
"""Between elector and fetcher: who is promoted, when, with what."""
import signal
import time

LONG = "60000 60000"


def role(d):
    return d.status()["role"]


def promoted(d, epoch=1):
    """Started, and the fetcher has the first token."""
    d.start()
    nonce = d.until_event("elector", "stand").args[0]
    d.order("elector", f"held {epoch} {LONG}")
    assert d.until_event("fetcher", "promote").args == [f"{epoch}:{nonce}"]
    d.until(lambda: role(d) == "primary", "primary")
    return nonce


def test_fetcher_is_promoted_only_after_held_and_demoted_on_lost(daemon):
    daemon.start()
    nonce = daemon.until_event("elector", "stand").args[0]
    assert role(daemon) == "secondary"
    assert not daemon.events("fetcher", "promote")
    daemon.order("elector", f"held 7 {LONG}")
    assert daemon.until_event("fetcher", "promote").args == [f"7:{nonce}"]
    daemon.until(lambda: role(daemon) == "primary", "primary")
    daemon.order("elector", f"held 7 {LONG}")
    assert daemon.until_event("fetcher", "extend").args == [f"7:{nonce}"]
    daemon.order("elector", "lost")
    daemon.until_event("fetcher", "demote")
    assert daemon.until_event("fetcher", "sent").args == ["demoted", f"7:{nonce}"]
    daemon.until(lambda: role(daemon) == "secondary", "secondary")
    again = daemon.until_event("elector", "stand", n=2).args
    assert again[0] != nonce and again[1] == nonce
    assert not daemon.deaths("fetcher")
    daemon.stop()


def test_fetcher_that_does_not_confirm_is_killed_at_its_kill_time(daemon):
    daemon.start()
    daemon.order("fetcher", "silent")
    daemon.until_event("elector", "stand")
    before = time.monotonic()
    daemon.order("elector", "held 1 500 700")
    daemon.until_event("fetcher", "promote")
    daemon.order("elector", "lost")
    daemon.until_event("fetcher", "demote")
    assert not daemon.deaths("fetcher"), "it has until its kill time"
    death = daemon.until_death("fetcher")
    assert time.monotonic() - before >= 0.7
    assert (death["why"], death["signal"]) == ("overran its lease", signal.SIGKILL)
    daemon.until_up("fetcher")
    assert role(daemon) == "secondary"
    daemon.stop()


def test_fetcher_is_killed_when_nobody_renews_and_it_goes_on(daemon):
    daemon.start()
    daemon.until_event("elector", "stand")
    daemon.order("elector", "held 1 100 200")
    daemon.until_event("fetcher", "promote")
    assert daemon.until_death("fetcher")["why"] == "overran its lease"
    daemon.stop()


def test_renewal_moves_the_kill_time(daemon):
    daemon.start()
    daemon.until_event("elector", "stand")
    end = time.monotonic() + 1.5
    n = 0
    # Each promises 600 ms; together they last longer.
    daemon.order("elector", "held 1 500 600")
    while time.monotonic() < end:
        daemon.order("elector", "held 1 500 600")
        n += 1
        daemon.until_event("fetcher", "extend", n=n)
    assert not daemon.deaths("fetcher")
    daemon.order("elector", f"held 1 {LONG}")
    daemon.until_event("fetcher", "extend", n=n + 1)
    daemon.stop()


def test_elector_that_dies_stands_again_with_the_previous_nonces(daemon):
    nonce = promoted(daemon)
    daemon.order("elector", "exit 70")
    again = daemon.until_event("elector", "stand", n=2)
    assert again.args[0] != nonce and nonce in again.args[1:]
    assert not daemon.events("fetcher", "demote"), "it goes on, to its deadline at most"
    assert not daemon.deaths("fetcher")
    daemon.order("elector", f"held 2 {LONG}")
    assert daemon.until_event("fetcher", "promote", n=2).args == [f"2:{again.args[0]}"]
    assert not daemon.deaths("fetcher")
    daemon.stop()


def test_fetcher_that_dies_while_promoted_needs_a_fresh_nonce(daemon):
    nonce = promoted(daemon)
    daemon.order("fetcher", "exit 70")
    again = daemon.until_event("elector", "stand", n=2).args
    assert again[0] != nonce and nonce in again[1:]
    daemon.until_event("fetcher", "ready", n=2)
    daemon.until_up("fetcher")
    assert role(daemon) == "secondary"
    assert len(daemon.events("fetcher", "promote")) == 1, "the old token died with it"
    daemon.order("elector", f"held 2 {LONG}")
    assert daemon.until_event("fetcher", "promote", n=2).args == [f"2:{again[0]}"]
    daemon.stop()


def test_token_waits_for_a_fetcher_that_starts(daemon):
    daemon.script("fetcher", "start mute")
    daemon.start(wait=False)
    nonce = daemon.until_event("elector", "stand").args[0]
    daemon.until_event("fetcher", "configure")
    daemon.order("elector", f"held 1 {LONG}")
    daemon.until_event("elector", "sent")
    assert not daemon.events("fetcher", "promote")
    daemon.order("fetcher", "ready")
    assert daemon.until_event("fetcher", "promote").args == [f"1:{nonce}"]
    daemon.stop()


def test_token_waits_for_the_next_fetcher_when_this_one_is_being_stopped(daemon):
    daemon.script("fetcher", "ready deaf")
    daemon.start()
    nonce = daemon.until_event("elector", "stand").args[0]
    old = daemon.until_event("fetcher", "ready").pid
    daemon.script("fetcher")
    daemon.cli("restart", "fetcher")
    daemon.until_event("fetcher", "ignored")
    daemon.order("elector", f"held 1 {LONG}")
    promote = daemon.until_event("fetcher", "promote")
    assert promote.args == [f"1:{nonce}"] and promote.pid != old
    assert len(daemon.deaths("fetcher")) == 1
    daemon.stop()


def test_loss_of_an_older_candidacy_is_none_of_the_newer(daemon):
    nonce = promoted(daemon)
    daemon.order("fetcher", "token-lost")
    again = daemon.until_event("elector", "stand", n=2).args
    daemon.order("elector", f"held 2 {LONG}")
    daemon.until_event("fetcher", "promote", n=2)
    daemon.order("elector", f"lost {nonce}")
    daemon.order("elector", f"held 2 {LONG}")
    assert daemon.until_event("fetcher", "extend").args == [f"2:{again[0]}"]
    assert len(daemon.events("elector", "stand")) == 2 and not daemon.events("fetcher", "demote")
    daemon.stop()


def test_fenced_fetcher_asks_for_a_new_candidacy(daemon):
    nonce = promoted(daemon)
    daemon.order("fetcher", "token-lost")
    again = daemon.until_event("elector", "stand", n=2).args
    assert again[0] != nonce
    daemon.until(lambda: role(daemon) == "secondary", "secondary")
    assert "event=token_lost" in daemon.logs()
    daemon.stop()


def test_nonces_outlive_the_supervisor(daemon):
    nonce = promoted(daemon)
    pids = [w["pid"] for w in daemon.status()["workers"]]
    daemon.strangers += pids
    daemon.proc.kill()
    daemon.proc.wait()
    daemon.start()
    again = daemon.until_event("elector", "stand", n=2).args
    assert again[0] != nonce and nonce in again[1:]
    daemon.stop()


def test_a_node_that_cannot_keep_its_nonce_says_so_and_stands_again(daemon):
    nonce = promoted(daemon)
    daemon.until_event("elector", "fitness")
    (daemon.state / "nonce.new").mkdir()  # for root too nothing can be written there
    daemon.order("fetcher", "token-lost")
    daemon.until(lambda: daemon.status()["health"] == "degraded" and
                 "cannot stand for election" in daemon.status()["reason"], "degraded")
    # What it holds it cannot use: another node may have it.
    daemon.until(lambda: any(e.args[0] == "0" for e in daemon.events("elector", "fitness")), "unfit")
    assert len(daemon.events("elector", "stand")) == 1
    (daemon.state / "nonce.new").rmdir()
    again = daemon.until_event("elector", "stand", n=2).args
    assert again[0] != nonce and again[1] == nonce
    daemon.until(lambda: "election" not in daemon.status()["reason"], "well")
    assert daemon.logs().count("event=nonce_not_kept") == 1
    daemon.stop()


def test_elector_hears_that_the_fetcher_keeps_dying(daemon):
    daemon.start()
    daemon.until(lambda: ["1", ""] in [e.args for e in daemon.events("elector", "fitness")],
                 "fit")
    daemon.script("fetcher", "start exit 1")
    daemon.order("fetcher", "exit 1")
    daemon.until(lambda: any(e.args[0] == "0" for e in daemon.events("elector", "fitness")),
                 "unfit")
    daemon.stop()


def test_fitness_follows_a_reloaded_ttl(daemon):
    daemon.configure(ttl=60000)
    daemon.start()
    daemon.until_event("elector", "stand")
    daemon.configure(ttl=1000)
    daemon.cli("reload")
    second = daemon.until_event("elector", "stand", n=2).pid
    daemon.until(lambda: any(e.pid == second for e in daemon.events("elector", "fitness")),
                 "word about the fetcher, four times a TTL", deadline=5)
    daemon.stop()


def test_stepdown_reaches_the_elector_of_the_primary_only(daemon):
    daemon.start()
    daemon.until_event("elector", "stand")
    done = daemon.cli("stepdown", code=1)
    assert "not the primary" in done.stderr
    daemon.order("elector", f"held 1 {LONG}")
    daemon.until(lambda: role(daemon) == "primary", "primary")
    assert daemon.cli("stepdown").stdout.startswith("stepping down: ")
    daemon.until_event("elector", "stand-back")
    daemon.stop()


def test_stop_of_a_primary_stands_for_nothing_new(daemon):
    promoted(daemon)
    daemon.stop()
    assert len(daemon.events("elector", "stand")) == 1
    ends = [e.worker for e in daemon.events() if e.what in ("stop", "term")]
    assert ends == ["fetcher", "elector", "cache"]


def test_follower_runs_the_cache_alone(daemon):
    daemon.configure(extra="  candidate: false")
    daemon.start(wait=False)
    daemon.until_up("cache")
    st = daemon.status()
    assert (st["mode"], st["role"]) == ("follower", "secondary")
    assert [w["state"] for w in st["workers"]] == ["off", "off", "up"]
    assert "follower" in daemon.cli("restart", "fetcher", code=1).stderr
    # It may be made a candidate, and a follower again, while it runs.
    daemon.configure()
    daemon.cli("reload")
    daemon.until_up()
    daemon.configure(extra="  candidate: false")
    daemon.cli("reload")
    daemon.until(lambda: [w["state"] for w in daemon.status()["workers"]] ==
                 ["off", "off", "up"], "follower again")
    assert len(daemon.events("cache", "start")) == 1
    daemon.stop()
