"""`terrace doctor`: what is found, and what is advised."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from terrace import at_rest, doctor, ports


@pytest.fixture
def needs() -> doctor.Needs:
    return doctor.Needs("unit", disk_gb=1, memory_gb=0.1, ports={})


def named(checks: object, name: str) -> doctor.Check:
    return next(check for check in checks if check.name == name)  # type: ignore[attr-defined]  # any iterable of checks


def set_release(monkeypatch: pytest.MonkeyPatch, **release: str) -> None:
    monkeypatch.setattr(doctor.platform, "freedesktop_os_release", lambda: release)


@pytest.mark.parametrize(
    ("release", "ok"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, True),
        ({"ID": "debian", "VERSION_ID": "11"}, False),
        ({"ID": "debian"}, True),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, True),
        ({"ID": "ubuntu", "VERSION_ID": "22.04"}, False),
        ({"ID": "fedora", "VERSION_ID": "43"}, False),
    ],
)
def test_only_releases_with_the_packages_are_accepted(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], ok: bool
) -> None:
    set_release(monkeypatch, **release)

    check = doctor._release()

    assert check.ok is ok
    assert bool(check.fix) is not ok


def test_without_root_and_sudo_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)

    check = doctor._privileges()

    assert not check.ok
    assert check.necessary
    assert "NOPASSWD" in check.fix


def test_sudo_without_a_password_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "_succeeds", lambda *command: command == ("sudo", "-n", "true"))

    assert doctor._privileges().ok


def test_missing_package_candidates_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "_output", lambda *_command: "")
    monkeypatch.setattr(doctor, "_succeeds", lambda *command: command[-1] != "nginx-light")

    check = named(doctor._apt(), "apt")

    assert not check.ok
    assert check.found == "no candidate for nginx-light"
    assert "apt-get update" in check.fix


def test_half_installed_packages_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "_output", lambda *_command: "The following packages are only half configured\n x")
    monkeypatch.setattr(doctor, "_succeeds", lambda *_command: True)

    check = named(doctor._apt(), "dpkg")

    assert not check.ok
    assert check.fix == "dpkg --configure -a"


def test_a_full_disk_says_how_much_to_free(monkeypatch: pytest.MonkeyPatch, needs: doctor.Needs) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _place: SimpleNamespace(free=0.25e9))

    check = doctor._disk(needs)

    assert not check.ok
    assert check.fix == "free 0.8 GB more"


def test_too_little_memory_is_reported() -> None:
    check = doctor._memory(doctor.Needs("unit", 1, memory_gb=1e6, ports={}))

    assert not check.ok
    assert "1000000 GB are needed" in check.fix


def test_a_taken_port_names_who_holds_it() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        number = held.getsockname()[1]

        (check,) = doctor._ports(doctor.Needs("unit", 1, 1, ports={"tracking.port": number}))

    assert not check.ok
    assert check.name == f"port {number}"
    assert f"(pid {os.getpid()}) of {pwd.getpwuid(os.getuid()).pw_name} holds it" in check.found
    assert "stacks/Pulumi.unit.yaml" in check.fix


def test_a_port_of_the_environments_own_service_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ports.Holder("terrace-unit-mlflow")
    other = ports.Holder("terrace-other-mlflow")
    wanted = doctor.Needs("unit", 1, 1, ports={"tracking.port": 5000})

    monkeypatch.setattr(ports, "listeners", lambda _wanted: {5000: own})
    assert [check.ok for check in doctor._ports(wanted)] == [True]

    monkeypatch.setattr(ports, "listeners", lambda _wanted: {5000: other})
    assert [check.ok for check in doctor._ports(wanted)] == [False]


def test_free_ports_have_no_listener() -> None:
    with socket.socket() as bound_only:
        bound_only.bind(("127.0.0.1", 0))

        assert ports.listeners([bound_only.getsockname()[1]]) == {}


def test_an_encoding_other_than_utf8_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.locale, "nl_langinfo", lambda _item: "ANSI_X3.4-1968")

    check = doctor._locale()

    assert not check.ok
    assert check.fix == "export LC_ALL=C.UTF-8"


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | Exception], None]:
    """Have the package index answer with this Date header, or fail."""

    class Answer:
        def __init__(self, date: str) -> None:
            self.headers = {"Date": date}

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_error: object) -> None:
            """Nothing is open."""

    def set_answer(date: str | Exception) -> None:
        def urlopen(_request: object, timeout: float) -> Answer:
            assert timeout > 0
            if isinstance(date, Exception):
                raise date
            return Answer(date)

        monkeypatch.setattr("urllib.request.urlopen", urlopen)

    return set_answer


def test_a_wrong_clock_is_seen_by_the_index_answer(answer: Callable[[str | Exception], None]) -> None:
    answer("Mon, 01 Jan 2001 00:00:00 GMT")

    checks = list(doctor._index("https://index.example/simple/"))

    assert named(checks, "package index").ok
    assert not named(checks, "clock").ok


def test_an_unreachable_index_is_reported_without_its_password(answer: Callable[[str | Exception], None]) -> None:
    answer(OSError("Name or service not known"))

    (check,) = doctor._index("https://user:hidden@index.example/simple/")

    assert not check.ok
    assert check.found == "https://index.example/simple/ can't be reached: Name or service not known"


def test_the_index_setting_of_uv_comes_before_that_of_pip() -> None:
    both = {"PIP_INDEX_URL": "https://pip.example", "UV_DEFAULT_INDEX": "https://uv.example"}

    assert doctor.configured_index(both) == "https://uv.example"
    assert doctor.configured_index({"PIP_INDEX_URL": "https://pip.example"}) == "https://pip.example"
    assert doctor.configured_index({}) == doctor.DEFAULT_INDEX


def test_every_check_that_fails_says_how_to_fix_it(
    needs: doctor.Needs, answer: Callable[[str | Exception], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer(OSError("no route"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    monkeypatch.setattr(doctor, "SYSTEM_PYTHON", tmp_path / "python3")

    checks = doctor.examine(needs)

    failed = {check.name for check in checks if not check.ok}
    assert {"system python", "apt", "package index", "uv"} <= failed
    assert all(bool(check.fix) is not check.ok for check in checks)


@pytest.mark.parametrize("demanded", [False, True])
def test_data_in_the_clear_is_told_and_lacks_only_where_it_must_not_be(
    monkeypatch: pytest.MonkeyPatch, demanded: bool
) -> None:
    found = (at_rest.AtRest("/a", True, "by dm-crypt (dm-0)"), at_rest.AtRest("/b", False, "sda isn't encrypted"))
    monkeypatch.setattr(at_rest, "look", lambda _folders: found)
    wanted = doctor.Needs("unit", 1, 1, {}, folders=("/a", "/b"), encrypted=demanded)

    check = doctor._encryption(wanted)
    assert (check.ok, check.found, check.necessary) == (False, "at rest, /b: sda isn't encrypted", demanded)
    assert "docs/hardening.md" in check.fix

    monkeypatch.setattr(at_rest, "look", lambda _folders: found[:1])
    assert doctor._encryption(wanted) == doctor.Check(
        "encryption", True, "at rest, by dm-crypt (dm-0)", necessary=demanded
    )
