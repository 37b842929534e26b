#!/usr/bin/python3
"""Ansible module: gives kernel settings and files the wanted values and modes, and remembers those before."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_machine
short_description: Change kernel settings and modes of files that are somebody else's
description:
  - What differs is changed, its value before noted in the host's manifest first. terrace_remove brings that back.
  - What is wanted no longer is brought back at once. Settings and files that the machine lacks are left out.
  - Of environments on one machine that want the same, the last one to go brings it back.
options:
  environment: {description: The environment., type: str, required: true}
  entry: {description: Name of the manifest's entry., type: str, required: true}
  settings: {description: Kernel settings by their dotted names., type: dict, default: {}}
  modes: {description: "Modes, as four octal digits, by the file's or folder's path.", type: dict, default: {}}
author: [Terrace]
"""

KERNEL = Path("/proc/sys")
MANIFESTS = Path("/etc/terrace")


class Settings:
    """Kernel settings, by their path below /proc/sys."""

    @staticmethod
    def read(name: str) -> str | None:
        """Return the value, None where the kernel has no such setting."""
        file = KERNEL / name
        return " ".join(file.read_text().split()) if file.exists() else None

    @staticmethod
    def write(name: str, value: str) -> None:
        """Set the value."""
        (KERNEL / name).write_text(value)


class Modes:
    """Modes of files and folders."""

    @staticmethod
    def read(path: str) -> str | None:
        """Return the mode, None where there is no such file."""
        return f"{Path(path).stat().st_mode & 0o7777:04o}" if Path(path).exists() else None

    @staticmethod
    def write(path: str, mode: str) -> None:
        """Set the mode."""
        Path(path).chmod(int(mode, 8))


def _changes(kind: type, wanted: dict, noted: dict, others: dict) -> tuple[dict, dict]:
    """Return the values to set, and what is to be noted of each value that is not the machine's own.

    ``noted`` was so before, ``others`` is what other environments have noted.
    """
    new, note = {}, {}
    for name, value in wanted.items():
        found = kind.read(name)
        if found is None:
            continue
        before = {"before": found, **others.get(name, {}), **noted.get(name, {})}["before"]
        if before != value:
            note[name] = {"before": before, "ours": value}
        if found != value:
            new[name] = value
    for name, values in noted.items():
        if name not in wanted and name not in others and kind.read(name) == values["ours"]:
            new[name] = values["before"]
    return new, note


def _others(own: Path, kind: str) -> dict:
    """Return what other environments have noted."""
    found = {}
    for file in MANIFESTS.glob("*/manifest.d/*.before"):
        if file != own:
            found.update(json.loads(file.read_text()).get(kind, {}))
    return found


def _save(file: Path, notes: dict) -> None:
    new = file.with_suffix(".before.new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(notes, indent=2, sort_keys=True))
    new.replace(file)


def main() -> None:
    """Compare, note, then set unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "entry": {"type": "str", "required": True},
            "settings": {"type": "dict", "default": {}},
            "modes": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    settings = {name.replace(".", "/"): " ".join(str(v).split()) for name, v in module.params["settings"].items()}
    file = MANIFESTS / module.params["environment"] / "manifest.d" / f"{module.params['entry']}.before"
    noted = json.loads(file.read_text()) if file.is_file() else {}
    values, settings_note = _changes(Settings, settings, noted.get("settings", {}), _others(file, "settings"))
    modes, modes_note = _changes(Modes, module.params["modes"], noted.get("modes", {}), _others(file, "modes"))
    notes = {"settings": settings_note, "modes": modes_note}
    if not module.check_mode:
        if notes != noted and (noted or settings_note or modes_note):
            _save(file, notes)
        try:
            for name, value in values.items():
                Settings.write(name, value)
        except OSError as error:
            module.fail_json(msg=f"{error.filename or 'a setting'} can't be set: {os.strerror(error.errno)}")
        for path, mode in modes.items():
            Modes.write(path, mode)
    module.exit_json(changed=bool(values or modes), settings=sorted(values), modes=sorted(modes))


if __name__ == "__main__":
    main()
