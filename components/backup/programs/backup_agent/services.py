"""Stops the services whose data is about to be replaced."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from . import inventory
from .errors import AgentError
from .settings import Settings

SYSTEMD = Path("/run/systemd/system")


def stop(settings: Settings) -> None:
    """Stop all that may hold data, and let the next `up` prepare and start it anew: its marks and stamps go.

    Raises:
        AgentError: One of them runs on.
    """
    kept = {f"service-{name}" for name in (settings.service, settings.database_service)}
    everything = inventory.entries(settings).items()
    stopped = {name: entry for name, entry in everything if entry["programs"] and name not in kept}
    for name in stopped:
        (settings.manifests / f"{name}.converged").unlink(missing_ok=True)
        shutil.rmtree(settings.software / name.removeprefix("service-") / "setup", ignore_errors=True)
    for mark in settings.manifests.glob("postgres_database-*.converged"):
        mark.unlink()  # a database that is made anew lets in its owner alone, until its role has run again
    programs = [program for entry in stopped.values() for program in entry["programs"]]
    done = subprocess.run(_stop_command(settings, programs), capture_output=True, text=True, check=False)
    running = _running(settings, programs)
    if running:
        raise AgentError(f"{', '.join(running)} did not stop", why=(done.stderr or done.stdout).strip())


def _stop_command(settings: Settings, programs: Iterable[str]) -> list[str]:
    if SYSTEMD.is_dir():
        return ["systemctl", "stop", *(f"{program}.service" for program in programs)]
    return ["supervisorctl", "-c", str(settings.configuration / "supervisor" / "supervisord.conf"), "stop", *programs]


def _running(settings: Settings, programs: Iterable[str]) -> list[str]:
    if SYSTEMD.is_dir():
        asked = [(name, ["systemctl", "is-active", "--quiet", f"{name}.service"]) for name in programs]
    else:
        supervisor = str(settings.configuration / "supervisor" / "supervisord.conf")
        asked = [(name, ["supervisorctl", "-c", supervisor, "status", name]) for name in programs]
    # Both answer 0 for a program that runs.
    return [
        name for name, command in asked if subprocess.run(command, capture_output=True, check=False).returncode == 0
    ]
