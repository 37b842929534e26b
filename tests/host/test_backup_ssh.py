"""Backups on another machine, by SSH: how the platform comes to it, and what happens when that machine isn't right."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.backups import Client, back_up, backups, make_backup, metric
from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.keeper import ACCOUNT, Keeper, keeper
from tests.host.machine import processes, wait_for

pytestmark = pytest.mark.drill

USER = f"terrace-{ENVIRONMENT}-backup"
SSH = Path(f"/etc/terrace/{ENVIRONMENT}/backup/ssh")
LOGS = Path(f"/var/log/terrace/{ENVIRONMENT}")
HERE = Path(f"/var/backups/terrace/{ENVIRONMENT}")
PRIVATE = "PRIVATE KEY"
READS_ALL = 1 << 2  # CAP_DAC_READ_SEARCH
SLOT = "backup: {flavor: restic, "


@pytest.fixture(scope="module")
def far(platform: Platform, outputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    """A machine that is the place of the platform's backups by its spec, and has yet to let it in.

    Backups in the folder that was the place before are there when it is left, and when it is come back to.
    """
    before = set(HERE.glob("*/config"))
    assert before
    assert outputs, "they are those of the platform as it was, for tests to come"
    with keeper(tmp_path_factory.mktemp("keeper")) as made:
        named = f"{SLOT}place: {made.place}, "
        platform.edit(SLOT, named)
        try:
            yield made
        finally:
            platform.edit(named, SLOT)
            platform.terrace("up", ENVIRONMENT, "--yes")
    assert set(HERE.glob("*/config")) > before, "and a new repository"


@pytest.fixture(scope="module")
def place(platform: Platform, far: Keeper) -> Keeper:
    """The same machine, which has let the platform in as the documentation says; the platform is up."""
    platform.terrace("up", ENVIRONMENT, "--yes", "--target", "backup/backup-key")
    far.let_in(platform.json("output", ENVIRONMENT, "public_keys")["backup"])
    platform.terrace("up", ENVIRONMENT, "--yes")
    return far


def test_up_stops_where_it_is_not_let_in_and_says_what_lets_it_in(platform: Platform, far: Keeper) -> None:
    refused = platform.terrace("up", ENVIRONMENT, "--yes", check=False)
    assert refused.returncode != 0
    line = platform.json("output", ENVIRONMENT, "public_keys")["backup"]
    assert line.startswith('restrict,command="internal-sftp" ssh-ed25519 AAAA')
    said = refused.stdout + refused.stderr
    assert f"{ACCOUNT}@{far.machine.address}, the place of the backups: it refuses the platform's key" in said
    assert f"Put the line of `terrace output {ENVIRONMENT} public_keys` into the account's authorized_keys" in said
    assert PRIVATE not in said
    assert list(far.folder.iterdir()) == []


def test_a_new_place_gets_the_services_own_backup_at_once(
    platform: Platform, outputs: dict[str, Any], place: Keeper
) -> None:
    assert set(platform.json("up", ENVIRONMENT, "--yes")["summary"]) == {"same"}
    wait_for(lambda: len(backups(platform)) == 1, 180)
    wait_for(lambda: metric(outputs, "last_run_succeeded") == 1, 60)
    (repository,) = (place.folder / ENVIRONMENT).iterdir()
    assert (repository / "config").is_file()
    url = next(one["url"] for one in platform.outputs()["services"] if one["slot"] == "backup")
    assert url == f"sftp://{ACCOUNT}@{place.machine.address}:2222/backups"


def test_its_key_is_for_its_user_alone(platform: Platform, outputs: dict[str, Any], place: Keeper) -> None:
    assert (SSH / "known_hosts").read_text() == f"place {place.host_key}\n"
    for file in (SSH / "key", SSH / "config", SSH / "known_hosts"):
        assert (file.owner(), file.group(), stat.S_IMODE(file.stat().st_mode)) == ("root", USER, 0o640)
    key = (SSH / "key").read_text().splitlines()[1]
    password = outputs["credentials"]["backup"]["password"]
    kept = [file for folder in (LOGS, platform.root) for file in folder.rglob("*") if file.is_file()]
    public = platform.json("output", ENVIRONMENT, "public_keys")["backup"].split()[2]
    assert any(public in file.read_text(errors="replace") for file in kept), "the state is among them"
    assert [file for file in kept if key in file.read_text(errors="replace")] == []
    commands: set[tuple[str, int, str]] = set()
    with subprocess.Popen(
        [sys.executable, "-m", "terrace", "backup", ENVIRONMENT, "--project", platform.root],
        env=platform.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        while running.poll() is None:
            commands |= _commands()
    assert running.returncode == 0
    assert [command for _, _, command in commands if password in command or key in command] == []
    assert {one[:2] for one in commands if one[2].startswith("ssh ")} == {(USER, 0)}, "no right to read all files"
    assert (USER, READS_ALL) in {one[:2] for one in commands if one[2].startswith("/usr/bin/restic ")}


def _commands() -> set[tuple[str, int, str]]:
    """Return the user, capabilities, and command line of each of the environment's processes."""
    found = set()
    for process in processes(ENVIRONMENT):
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found.add((process.user, int(status.partition("CapEff:")[2].split()[0], 16), process.command))
        except OSError:
            continue
    return found


def test_what_was_lost_comes_back_from_there(
    platform: Platform, outputs: dict[str, Any], gateway: requests.Session, place: Keeper, tmp_path: Path
) -> None:
    client = Client(outputs, gateway)
    kept = client.put()
    made = make_backup(platform)
    assert backups(platform)[-1]["id"] == made
    client.lose_all()
    assert not client.has(kept)

    password = tmp_path / "password"
    password.write_text(outputs["credentials"]["backup"]["password"] + "\n")
    options = ("--from", place.address, "--password-file", str(password), "--snapshot", made)
    restored = platform.json("restore", ENVIRONMENT, *options, "--yes")

    assert restored["restored"]["id"] == made
    assert restored["restored"]["repository"].startswith(f"{place.address}/{ENVIRONMENT}/")
    assert [service for service in restored["status"]["services"] if not service["healthy"]] == []
    assert client.has(kept)
    client.remove(kept)


def test_a_machine_with_another_host_key_gets_nothing(
    platform: Platform, outputs: dict[str, Any], place: Keeper
) -> None:
    before = [one["id"] for one in backups(platform)]
    what = f"{ACCOUNT}@{place.machine.address}, the place of the backups: it has another host key than the spec says"
    with place.another_host_key():
        failed = back_up(platform)
        assert failed.returncode != 0
        assert what in failed.stderr
        assert "`backup.place.host_key`" in failed.stderr
        refused = platform.terrace("restore", ENVIRONMENT, "--yes", check=False)
        assert refused.returncode == 2
        assert what in refused.stderr
        assert metric(outputs, "last_run_succeeded") == 0
    assert [one["id"] for one in backups(platform)] == before
    make_backup(platform)


def test_a_new_key_takes_the_place_of_the_old_one_without_a_gap(platform: Platform, place: Keeper) -> None:
    """As docs/operations.md has it: the hosts get the new key when the machine knows it."""
    old = platform.json("output", ENVIRONMENT, "public_keys")["backup"]
    key = "backup/backup-key"
    platform.terrace("up", ENVIRONMENT, "--yes", "--replace", key, "--target", key)
    new = platform.json("output", ENVIRONMENT, "public_keys")["backup"]
    assert new != old
    make_backup(platform)
    place.let_in(f"{old}\n{new}")
    platform.terrace("up", ENVIRONMENT, "--yes")
    place.let_in(new)
    make_backup(platform)


def _alerts(outputs: dict[str, Any], gateway: requests.Session) -> list[str]:
    """Return the states of the alert that a backup failed."""
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/alerts"
    found = gateway.get(url, timeout=30).json()["data"]["alerts"]
    return [alert["state"] for alert in found if alert["labels"]["alertname"] == "BackupFailed"]


def test_a_machine_that_is_away_is_told_and_alerts_until_it_is_back(
    platform: Platform, outputs: dict[str, Any], gateway: requests.Session, place: Keeper
) -> None:
    last = metric(outputs, "last_success_timestamp_seconds")
    with place.away():
        failed = back_up(platform)
        assert failed.returncode != 0
        assert f"{place.machine.address}, the place of the backups: it can't be reached" in failed.stderr
        assert metric(outputs, "last_run_succeeded") == 0
        assert metric(outputs, "last_success_timestamp_seconds") == last
        wait_for(lambda: _alerts(outputs, gateway) == ["firing"], 120)
        shown = platform.terrace("doctor", ENVIRONMENT, check=False)
        assert f"{place.machine.address}, port 2222, can't be reached" in " ".join(shown.stdout.split())
    make_backup(platform)
    assert metric(outputs, "last_run_succeeded") == 1
    wait_for(lambda: _alerts(outputs, gateway) == [], 120)
