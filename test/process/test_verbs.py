# SPDX-License-Identifier: Apache-2.0
"""Each verb of `zonesync`, as its own help describes it: what a row promises, the command does."""
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, DEADLINE

ZONESYNC = str(BUILD / "supervisor/cli/zonesync")
NOBODY_HOME = "/nonexistent/control.sock"


def run(*args, code=0, **more):
    done = subprocess.run([ZONESYNC, *map(str, args)], capture_output=True, text=True, timeout=DEADLINE, **more)
    assert done.returncode == code, (args, done)
    return done


def table():
    """The verbs of the help with their syntax: {"restart": "WORKER", ...}."""
    verbs = {}
    for line in run("help").stdout.split("\n\n")[1].splitlines():
        row = re.fullmatch(r"  (\S.*?)(?:   *(\S.*))?", line)
        if row is None:
            continue
        words = row[1].split()
        n = 2 if words[0] in ("config", "setup", "resolve") else 1
        verbs[" ".join(words[:n])] = " ".join(words[n:])
    verbs.pop("help")
    return verbs


VERBS = table()
WITHOUT_DAEMON = ("config check", "config show", "config sample", "setup postgres-notify", "version", "logs")


def least(syntax):
    """Words that satisfy a syntax: options that are in brackets are left out."""
    words = re.sub(r"\[[^]]*\]", "", syntax).split()
    return ["L:1" if w == "POSITION" else "API" if w == "TYPE" else "elector" if w == "WORKER" else
            w if w.startswith("--") else "x" for w in words]


def most(syntax):
    """How many words of its own it takes, without options and their values."""
    return len(re.sub(r"\[?--?[a-z-]+( [A-Z]\S*)?\]?", "", syntax).split())


def options(syntax):
    return re.findall(r"(--[a-z-]+)( [A-Z])?", syntax)


def test_the_table_is_there():
    assert len(VERBS) > 20 and VERBS["restart"] == "WORKER" and VERBS["stepdown"] == ""


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_how_a_verb_is_used(verb):
    words = verb.split()
    told = run("help", *words).stdout
    assert f"usage: zonesync [--socket PATH] {verb} {VERBS[verb]}".rstrip() in " ".join(told.split())
    assert run(*words, "--help").stdout == told
    assert run("--help", *words).stdout == told


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_a_verb_does_not_have_is_wrong_usage(verb):
    err = run(*verb.split(), *least(VERBS[verb]), "--nonsense", code=os.EX_USAGE).stderr
    assert "--nonsense" in err


@pytest.mark.parametrize("verb", [v for v in VERBS if options(VERBS[v])])
def test_an_option_has_a_value_or_none_as_its_row_says(verb):
    for name, value in options(VERBS[verb]):
        words = [w for w in least(VERBS[verb])]
        if value:
            if name in words:  # it must be given: take its value away
                del words[words.index(name):][1:]
                words = words[:words.index(name)]
            err = run(*verb.split(), *words, name, code=os.EX_USAGE).stderr
        else:
            err = run(*verb.split(), *words, f"{name}=x", code=os.EX_USAGE).stderr
        assert name in err


# What --accept-deletes may have behind it, the daemon knows.
@pytest.mark.parametrize("verb", [v for v in VERBS if v != "resync"])
def test_a_word_too_many_or_too_few_is_wrong_usage(verb):
    words, syntax = verb.split(), VERBS[verb]
    extra = [w for w in least(syntax) if w.startswith("--")]
    required = least(re.sub(r"--[a-z-]+ [A-Z]+", "", syntax))
    flags = ["--revision", "L:1"] if extra else []
    err = run(*words, *flags, *["x"] * (most(syntax) + 1), code=os.EX_USAGE).stderr
    assert "too many arguments" in err if syntax else "takes no argument" in err
    if required:
        assert f"{verb} wants {syntax}" in run(*words, *required[:-1], code=os.EX_USAGE).stderr


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in WITHOUT_DAEMON])
def test_a_verb_that_needs_the_daemon_says_that_it_is_not_there(verb):
    done = run("--socket", NOBODY_HOME, *verb.split(), *least(VERBS[verb]), code=os.EX_UNAVAILABLE)
    assert done.stdout == "" and "/nonexistent/" in done.stderr and "No such file" not in done.stdout


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in WITHOUT_DAEMON])
def test_the_path_of_a_socket_that_is_too_long_is_wrong_usage(verb):
    path = "/" + "x" * 107  # a Unix socket's has 107 bytes and a NUL
    err = run("--socket", path, *verb.split(), *least(VERBS[verb]), code=os.EX_USAGE).stderr
    assert "the path of a socket has at most 107 bytes" in err


def test_the_socket_comes_from_the_option_before_the_environment():
    env = {**os.environ, "ZONESYNC_SOCKET": "/nonexistent/by-environment.sock"}
    assert "by-environment" in run("status", code=os.EX_UNAVAILABLE, env=env).stderr
    err = run("--socket", "/nonexistent/by-option.sock", "status", code=os.EX_UNAVAILABLE, env=env).stderr
    assert "by-option" in err and "by-environment" not in err
    assert "by-option" in run("status", "--socket=/nonexistent/by-option.sock", code=os.EX_UNAVAILABLE, env=env).stderr


def test_the_version_is_told_in_each_form():
    told = run("version").stdout
    assert re.fullmatch(r"zonesync \d+\.\d+\.\d+\n", told)
    assert run("--version").stdout == told
    assert run("--version", "status").stdout == told, "whatever else is asked for"


def test_the_types_of_entities_stand_where_one_is_asked_for():
    for verb in ("get", "list"):
        told = " ".join(run("help", verb).stdout.split())
        assert "TYPE is one of" in told and "SUBSCRIPTION, API_KEY" in told
    assert "TYPE is one of" not in run("help", "status").stdout


@pytest.mark.parametrize("verb", ["get", "list"])
def test_a_type_that_there_is_not_is_wrong_usage(verb):
    more = ["x"] if verb == "get" else []
    assert "there is no type THING" in run("--socket", NOBODY_HOME, verb, "THING", *more, code=os.EX_USAGE).stderr
    run("--socket", NOBODY_HOME, verb, "api_KEY", *more, code=os.EX_UNAVAILABLE)  # in any case of letters


@pytest.mark.parametrize("words,says", [
    (["config"], "`config` wants a second word, such as `config check`"),
    (["config", "chekc", "x"], "`config` wants a second word, such as `config check`"),
    (["resolve"], "`resolve` wants a second word, such as `resolve key`"),
    (["resolve", "subscripton"], "such as `resolve subscription`"),
    (["setup"], "such as `setup postgres-notify`"),
    (["zzzzzzzzzz"], "there is no command `zzzzzzzzzz`; see `zonesync help`"),
    (["stepdwn"], "did you mean `stepdown`?"),
    (["help", "zzzzzzzzzz"], "zzzzzzzzzz"),
    ([""], "there is no command ``"),
])
def test_what_is_no_verb_is_told_with_the_nearest(words, says):
    assert says in run(*words, code=os.EX_USAGE).stderr


@pytest.mark.parametrize("text", ["", "x", "1x", "-1", "1e3", "nan", "31622401", "99999999999999999999", "1.2.3", "1.", " 1"])
def test_a_time_that_is_none_is_wrong_usage(text):
    err = run("--socket", NOBODY_HOME, "wait", "--revision", "L:1", f"--timeout={text}", code=os.EX_USAGE).stderr
    assert "--timeout" in err


@pytest.mark.parametrize("text", ["0", "0.5", "31622400", "00.123456789"])
def test_a_time_is_seconds_with_or_without_a_fraction(text):
    run("--socket", NOBODY_HOME, "wait", "--revision", "L:1", "--timeout", text, code=os.EX_UNAVAILABLE)


@pytest.mark.parametrize("text", ["", "x", ":", "L:", ":1", "L:x", "L:-1", "L:18446744073709551616", "L: 1"])
def test_a_position_that_is_none_is_wrong_usage(text):
    run("--socket", NOBODY_HOME, "wait", f"--revision={text}", code=os.EX_USAGE)


# --- what needs no daemon ---

def test_the_sample_is_a_configuration_that_passes_its_own_check(tmp_path):
    f = tmp_path / "sample.yml"
    f.write_text(run("config", "sample").stdout)
    done = run("config", "check", f)
    assert "error" not in done.stderr


def test_a_file_that_cannot_be_read_is_told_with_its_reason(tmp_path):
    for path, why in ((tmp_path / "none.yml", "No such file"), (tmp_path, "directory")):
        for verb in (["config", "check"], ["config", "show"]):
            assert why in run(*verb, path, code=os.EX_CONFIG).stderr


JDBC = """
zonesync: {{zone: {{id: z}}}}
services: {{sync: {{distributed: {{enabled: true}}}}}}
distributed-sync: {{type: redis}}
management: {{type: {type}, jdbc: {{url: "jdbc:postgresql://h/gravitee?currentSchema=o'dd", prefix: p_}}, file: {{path: /}},
              mongodb: {{uri: "mongodb://h/gravitee"}}}}
"""


def test_the_triggers_are_those_of_the_configured_database(tmp_path):
    f = tmp_path / "z.yml"
    f.write_text(JDBC.format(type="jdbc"))
    made, taken = run("setup", "postgres-notify", f).stdout, run("setup", "postgres-notify", f, "--remove").stdout
    assert "CREATE OR REPLACE FUNCTION" in made and "p_" in made
    assert "CREATE OR REPLACE FUNCTION" not in taken and "DROP" in taken and "p_" in taken
    assert "'o'dd'" not in made + taken, "a name is quoted, whatever is in it"


def test_a_schema_may_be_written_and_empty(tmp_path):
    f = tmp_path / "z.yml"
    f.write_text(JDBC.format(type="jdbc").replace("o'dd", ""))
    done = run("setup", "postgres-notify", f)
    assert "set_config('search_path', '', false)" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("type", ["mongodb", "file"])
def test_triggers_are_for_a_postgresql_only(tmp_path, type):
    f = tmp_path / "z.yml"
    f.write_text(JDBC.format(type=type))
    done = run("setup", "postgres-notify", f, code=os.EX_CONFIG)
    assert f"management.type is {type}; this is for jdbc" in done.stderr and done.stdout == ""


def test_stdout_that_is_closed_is_no_failure_and_one_that_is_full_is():
    """`zonesync help | head -1` ends well; on a full disk nobody may take the half for the whole."""
    reader, writer = os.pipe()
    os.close(reader)
    p = subprocess.run([ZONESYNC, "config", "sample"], stdout=writer, stderr=subprocess.PIPE, timeout=DEADLINE,
                       text=True)
    os.close(writer)
    assert p.returncode == 0 and p.stderr == ""
    with open("/dev/full", "w", encoding="utf-8") as full:
        p = subprocess.run([ZONESYNC, "config", "sample"], stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE, text=True)
    assert p.returncode == os.EX_IOERR and "stdout: No space left" in p.stderr


@pytest.mark.parametrize("said", [b"", b"junk that is no frame at all", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\4\xff\xff\xff\xff"])
def test_what_answers_and_is_no_daemon_is_told(tmp_path, said):
    """Whoever listens there: it ends with a code, at once, and shows nothing of what came."""
    path = Path("/tmp") / f"zs-verbs-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        try:
            s.listen(1)
            p = subprocess.Popen([ZONESYNC, "--socket", path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
            peer, _ = s.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(said)
                peer.shutdown(socket.SHUT_WR)
                out, err = p.communicate(timeout=DEADLINE)
        finally:
            path.unlink()
    assert p.returncode in (os.EX_UNAVAILABLE, os.EX_PROTOCOL), (p.returncode, err)
    assert out == "" and str(path) in err and "junk" not in err
