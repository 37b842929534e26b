"""Secrets stand where they must, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import processes

SHORTEST = 16  # characters; what is shorter in a connection is no secret


def _secrets(outputs: dict[str, Any]) -> set[str]:
    """Return every password that the platform has: people's, projects', and the services' own."""
    found = {account["password"] for account in outputs["credentials"].values()} | set(outputs["people"].values())
    found |= {value for name, value in outputs["connection"].items() if "PASSWORD" in name}
    for entry in outputs["inventory"]["all"]["hosts"]["host"]["terrace_roles"]:
        variables = _plain(entry["variables"])
        found |= {value for name, value in variables.items() if name.endswith("password")}
        secrets = variables.get("service_secrets", {})
        found |= {value for name, value in secrets.items() if any(w in name for w in ("PASSWORD", "SECRET", "KEY"))}
    return {value for value in found if len(value) >= SHORTEST}


def _plain(value: Any) -> Any:
    """Undo the marks that keep Ansible from taking a text for a template."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {k: _plain(v) for k, v in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _holders(secrets: set[str], files: Iterator[Path]) -> list[Path]:
    wanted = [secret.encode() for secret in secrets]
    return [file for file in files if any(secret in file.read_bytes() for secret in wanted)]


def test_there_are_secrets_to_look_for(outputs: dict[str, Any]) -> None:
    assert len(_secrets(outputs)) >= 8


def test_the_state_holds_no_plain_secret(platform: Platform, outputs: dict[str, Any]) -> None:
    states = [path for path in _files(platform.root) if ".pulumi" in path.parts]
    assert any(f"{ENVIRONMENT}.json" in path.name for path in states), "no state was found to look at"
    assert _holders(_secrets(outputs), _files(platform.root)) == []


def test_no_secret_stands_in_a_command_line(outputs: dict[str, Any]) -> None:
    secrets = _secrets(outputs)
    running = processes(ENVIRONMENT)
    assert [process.user for process in running if any(secret in process.command for secret in secrets)] == []


def test_no_secret_stands_in_a_log_or_a_supervisors_file(outputs: dict[str, Any]) -> None:
    folders = [Path(f"/var/log/terrace/{ENVIRONMENT}"), Path(f"/etc/terrace/{ENVIRONMENT}/supervisor")]
    own = Path(f"/var/lib/terrace/{ENVIRONMENT}/airflow")
    logs = [*_files(*folders, own / "runs", own / "logs")]
    assert logs
    assert _holders(_secrets(outputs), iter(logs)) == []


def test_ansible_leaves_nothing_behind() -> None:
    left = [folder.parent.name for folder in Path(tempfile.gettempdir()).glob("terrace-run-*/env")]
    assert [name for name in left if not Path("/proc", name.split("-")[2]).exists()] == []


def test_outputs_are_masked_unless_they_are_asked_for(platform: Platform, outputs: dict[str, Any]) -> None:
    shown = platform.terrace("output", ENVIRONMENT, "--json").stdout + platform.terrace("output", ENVIRONMENT).stdout
    assert "[secret]" in shown
    assert [secret for secret in _secrets(outputs) if secret in shown] == []


def _enters(settings: dict[str, str]) -> bool:
    """Tell whether PostgreSQL lets in who keeps late labels, by what is in the environment of the service `drift`."""
    known = {name: value for name, value in settings.items() if name.startswith("PG")} | {"PATH": os.environ["PATH"]}
    known |= {"PGUSER": settings["DRIFT_LABELS_USER"], "PGPASSWORD": settings["DRIFT_LABELS_PASSWORD"]}
    command = ["psql", "--no-psqlrc", "--no-password", "--command=SELECT 1"]
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "password authentication failed" in done.stderr
    return done.returncode == 0


def test_a_password_is_made_anew_and_the_one_before_is_refused(platform: Platform) -> None:
    file = Path(f"/etc/terrace/{ENVIRONMENT}/evidently/environment.json")
    before = json.loads(file.read_text())
    assert _enters(before)
    platform.terrace("up", ENVIRONMENT, "--yes", "--replace", "serving/predictions_labeller-database")
    after = json.loads(file.read_text())
    assert {name for name in after if after[name] != before[name]} == {"DRIFT_LABELS_PASSWORD"}
    assert (_enters(before), _enters(after)) == (False, True)
    services = platform.json("status", ENVIRONMENT)["services"]
    assert [service["name"] for service in services if not service["healthy"]] == []
