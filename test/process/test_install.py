# SPDX-License-Identifier: Apache-2.0
"""`meson install`: what goes where, with which modes, and whether it fits together."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ZONESYNC_BUILD"]).resolve()
PAGES = ["man1/zonesync.1", "man8/zonesyncd.8", "man5/zonesync.yml.5"]

EXPECTED = {
    "bin/zonesync": 0o755,
    "sbin/zonesyncd": 0o755,
    "libexec/zonesync/zonesync-cache": 0o755,
    "libexec/zonesync/zonesync-elector": 0o755,
    "libexec/zonesync/zonesync-fetcher": 0o755,
    "etc/zonesync/zonesync.yml": 0o640,
    "etc/logrotate.d/zonesync": 0o644,
    "lib/systemd/system/zonesyncd.service": 0o644,
    "lib/sysusers.d/zonesync.conf": 0o644,
    "share/zonesync/gateway.proto": 0o644,
    **{f"share/man/{p}": 0o644 for p in PAGES},
    **{f"share/doc/zonesync/examples/{f.relative_to(ROOT / 'conf')}": 0o755 if os.access(f, os.X_OK) else 0o644
       for f in (ROOT / "conf/samples").rglob("*") if f.is_file()},
}


def install(destdir):
    run = subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir", str(destdir)],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    destdir = tmp_path_factory.mktemp("install")
    install(destdir)
    return destdir / "usr/local"


def test_install_puts_each_file_where_it_belongs(installed):
    files = {str(f.relative_to(installed)): f.stat().st_mode & 0o7777
             for f in installed.rglob("*") if not f.is_dir()}
    assert files == EXPECTED
    assert all(d.stat().st_mode & 0o7777 == 0o755 for d in installed.rglob("*") if d.is_dir())


def test_install_writes_nothing_outside_the_prefix(installed):
    assert [d.name for d in installed.parents[1].iterdir()] == ["usr"]
    assert [d.name for d in installed.parent.iterdir()] == ["local"]


def test_programs_know_the_directories_they_are_installed_to(installed):
    shown = subprocess.run([installed / "sbin/zonesyncd", "--help"], capture_output=True, text=True, check=True).stdout
    for path in ("/usr/local/etc/zonesync/zonesync.yml", "/var/lib/zonesync", "/run/zonesync", "/var/log/zonesync",
                 "/usr/local/libexec/zonesync"):
        assert f"({path})" in shown


def test_unit_and_logrotate_name_what_is_installed(installed):
    unit = (installed / "lib/systemd/system/zonesyncd.service").read_text()
    rotate = (installed / "etc/logrotate.d/zonesync").read_text()
    assert "@" not in re.sub(r"@(system-service|privileged|resources|chown)\b", "", unit) + rotate
    programs = re.findall(r"/usr/local/\S+", unit + rotate)
    assert {p.rsplit("/", 1)[1] for p in programs} == {"zonesync", "zonesyncd"}
    for program in programs:
        assert (installed / program[len("/usr/local/"):]).is_file()
    assert rotate.count("/var/log/zonesync/*.log") == 1


def test_unit_has_no_key_that_systemd_does_not_know(installed, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "zonesyncd.service"
    unit.write_text((installed / "lib/systemd/system/zonesyncd.service").read_text().replace("/usr/local", str(installed)))
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    assert [x for x in run.stderr.splitlines() if "zonesyncd.service" in x] == []


def test_configuration_as_installed_is_valid(installed):
    run = subprocess.run([installed / "bin/zonesync", "config", "check", installed / "etc/zonesync/zonesync.yml"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_second_install_leaves_an_edited_configuration_alone(tmp_path):
    install(tmp_path)
    conf = tmp_path / "usr/local/etc/zonesync/zonesync.yml"
    rotate = tmp_path / "usr/local/etc/logrotate.d/zonesync"
    conf.write_text("edited: true\n")
    conf.chmod(0o600)
    install(tmp_path)
    assert conf.read_text() == "edited: true\n" and conf.stat().st_mode & 0o7777 == 0o600
    new = conf.with_name("zonesync.yml.new")
    assert new.read_text() == (ROOT / "conf/zonesync.yml").read_text() and new.stat().st_mode & 0o7777 == 0o640
    assert not rotate.with_name("zonesync.new").exists()


@pytest.mark.parametrize("page", PAGES)
def test_man_page_renders_without_a_warning(installed, page):
    file = installed / "share/man" / page
    tools = [["groff", "-man", "-ww", "-Tutf8", "-z"], ["mandoc", "-Tlint", "-Wwarning"]]
    tools = [t for t in tools if shutil.which(t[0])]
    assert tools, "neither groff nor mandoc is installed"
    for tool in tools:
        run = subprocess.run([*tool, file], capture_output=True, text=True, timeout=60)
        assert run.stdout + run.stderr == ""


def rendered(installed, page):
    run = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-rLL=1000n", installed / "share/man" / page],
                         capture_output=True, text=True, check=True)
    return run.stdout


def test_man_page_has_each_command(installed):
    text = rendered(installed, "man1/zonesync.1")
    usage = subprocess.run([installed / "bin/zonesync", "help"], capture_output=True, text=True, check=True).stdout
    for line in usage.split("\n\n")[1].splitlines():
        if line.startswith("  ") and line[2] != " ":
            assert re.split(r"\s{2,}", line.strip())[0] in text


def test_man_page_has_each_key_of_the_schema(installed):
    text = rendered(installed, "man5/zonesync.yml.5")
    keys = re.findall(r'^ROW\(\w+, "([^"]+)"', (ROOT / "supervisor/config/schema.def").read_text(), re.M)
    assert len(keys) > 50
    assert [k for k in keys if not re.search(rf"^ +{re.escape(k)}( |$)", text, re.M)] == []


def test_man_page_gives_the_access_list_of_the_readme(installed):
    acl = re.search(r"ACL SETUSER.*", (ROOT / "README.md").read_text()).group()
    assert acl in rendered(installed, "man8/zonesyncd.8")


def test_the_interface_for_gateways_has_a_package_of_its_own(installed):
    proto = (installed / "share/zonesync/gateway.proto").read_text()
    assert "\npackage zonesync.gateway.v1;\n" in proto
    assert {"go_package", "java_package", "csharp_namespace"} <= set(re.findall(r"^option (\w+)", proto, re.M))
