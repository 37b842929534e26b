"""The drill: what a platform keeps is backed up, lost, and brought back; and what goes wrong is told and harmless."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.backups import DATA, Client, back_up, backups, make_backup, metric
from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import Process, processes

KEPT = 3  # the last backups, by default


@pytest.fixture(scope="module")
def place(outputs: dict[str, Any]) -> Path:
    url = next(service["url"] for service in outputs["services"] if service["slot"] == "backup")
    return Path(url.removeprefix("file://"), ENVIRONMENT)


def test_what_was_lost_comes_back(
    platform: Platform, outputs: dict[str, Any], gateway: requests.Session, place: Path, tmp_path: Path
) -> None:
    client = Client(outputs, gateway)
    kept = client.put()
    assert client.has(kept)
    backup = make_backup(platform)
    audited = platform.json("audit", ENVIRONMENT, "--verify")["sequence"]
    elsewhere = shutil.copytree(place, tmp_path / "elsewhere")
    password = tmp_path / "password"
    password.write_text(outputs["credentials"]["backup"]["password"] + "\n")
    client.lose_all()
    assert not client.has(kept)

    options = ("--from", str(elsewhere), "--password-file", str(password), "--snapshot", backup)
    restored = platform.json("restore", ENVIRONMENT, *options, "--yes")

    assert restored["restored"]["id"] == backup
    assert set(restored["restored"]["databases"]) >= {"mlflow", "mlflow_accounts", "feast"}
    assert restored["restored"]["left_out"] == []
    assert [service for service in restored["status"]["services"] if not service["healthy"]] == []
    assert client.has(kept)
    assert restored["restored"]["kept"] == [str(DATA / "audit")], "who did what since the backup stays on record"
    log = platform.json("audit", ENVIRONMENT, "--verify")
    assert log["problems"] == []
    assert log["sequence"] > audited
    (record,) = [one for one in platform.json("audit", ENVIRONMENT, "--action", "restore") if backup in one["object"]][
        -1:
    ]
    assert record["outcome"] == "ok"
    user = f"terrace-{ENVIRONMENT}-airflow"
    assert {(path.owner(), path.group()) for path in (DATA / "airflow").rglob("*")} == {(user, user)}
    assert set(platform.json("up", ENVIRONMENT, "--yes")["summary"]) == {"same"}
    client.remove(kept)


def test_old_backups_make_room(platform: Platform, outputs: dict[str, Any]) -> None:
    made = [make_backup(platform) for _ in range(KEPT + 1)]
    listed = backups(platform)
    assert [one["id"] for one in listed][-KEPT:] == made[-KEPT:]
    days = {one["time"][:10] for one in listed}
    assert len(listed) <= KEPT + len(days) - 1, "the last of each day stays, too"
    assert all(one["bytes"] > 0 and one["seconds"] > 0 for one in listed[-KEPT:])
    assert metric(outputs, "kept") == len(listed)
    assert metric(outputs, "last_run_succeeded") == 1


@pytest.mark.drill
def test_a_place_that_is_gone_is_told_and_alerts(platform: Platform, outputs: dict[str, Any], place: Path) -> None:
    away = place.with_name(f"{place.name}-away")
    last = metric(outputs, "last_success_timestamp_seconds")
    place.rename(away)
    try:
        failed = back_up(platform)
        assert failed.returncode != 0
        assert f"there is no backup repository in {place}" in failed.stderr
        assert "isn't mounted" in failed.stderr
        assert metric(outputs, "last_run_succeeded") == 0, "what the alert BackupFailed looks at"
        assert metric(outputs, "last_success_timestamp_seconds") == last
        refused = platform.terrace("restore", ENVIRONMENT, "--yes", check=False)
        assert refused.returncode == 2
        assert f"there is no backup repository in {place}" in refused.stderr
    finally:
        away.rename(place)
    make_backup(platform)
    assert metric(outputs, "last_run_succeeded") == 1


@pytest.mark.drill
def test_a_wrong_password_is_refused_with_everything_running(platform: Platform, place: Path) -> None:
    before = {(process.pid, process.user) for process in processes(ENVIRONMENT)}
    refused = platform.terrace(
        "restore", ENVIRONMENT, "--from", str(place), "--yes", check=False, TERRACE_BACKUP_PASSWORD="not-the-password"
    )
    assert refused.returncode == 2
    assert "the password opens none of the backups in" in refused.stderr
    assert "not-the-password" not in refused.stderr
    services = {process.user for process in processes(ENVIRONMENT)}
    assert services == {user for _, user in before}
    assert platform.json("status", ENVIRONMENT)["services"], "nothing was stopped"


@pytest.fixture
def much_data() -> Iterator[Path]:
    """A file that takes a while to back up."""
    file = DATA / "artifacts" / "mlflow" / "much"
    file.write_bytes(os.urandom(64 * 2**20))
    yield file
    file.unlink()


def _agents() -> list[Process]:
    """Return the processes of a backup that is writing: the agent's that was asked for it, and restic."""
    running = [one for one in processes(ENVIRONMENT) if one.user == f"terrace-{ENVIRONMENT}-backup"]
    commands: dict[Process, str] = {}
    for process in running:
        try:
            commands[process] = process.command
        except OSError:
            continue
    if not any(" backup --json" in command for command in commands.values()):
        return []
    return [process for process, command in commands.items() if "serve" not in command]


@pytest.mark.drill
def test_the_backup_after_one_that_was_killed_is_whole(
    platform: Platform, outputs: dict[str, Any], much_data: Path
) -> None:
    before = [one["id"] for one in backups(platform)]
    killed = subprocess.Popen(
        [sys.executable, "-m", "terrace", "backup", ENVIRONMENT, "--project", platform.root],
        env=platform.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (writing := _agents()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for process in writing:
        os.kill(process.pid, signal.SIGKILL)
    assert killed.wait(60) == 1
    assert [one["id"] for one in backups(platform)] == before, "there is no half backup"
    whole = make_backup(platform)
    assert backups(platform)[-1]["id"] == whole
    assert backups(platform)[-1]["bytes"] > much_data.stat().st_size
    assert metric(outputs, "last_run_succeeded") == 1


@pytest.mark.usefixtures("platform")
def test_only_the_backups_user_enters_its_place(place: Path) -> None:
    assert place.stat().st_mode & 0o777 == 0o700
    assert place.owner() == f"terrace-{ENVIRONMENT}-backup"
