#!/usr/bin/python3
"""Ansible module: notes in the host's manifest what a role instance is about to make, beside what it made before."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_note
short_description: Note what is about to be made
description:
  - Adds to the entry; nothing that an earlier run noted is forgotten before M(terrace_remove) has removed it.
  - Data that the entry lists, that is there, and that is not to be made any more is refused. Terrace moves no data, and
    leaves none behind that nobody knows of.
  - Returns C(systemd), whether it runs the host. What keeps something running asks that, and a task more takes longer.
options:
  environment: {description: The environment., type: str, required: true}
  entry: {description: Name of the entry., type: str, required: true}
  made:
    description: "What is made: programs, users, paths, data, perhaps tables; what of these no backup holds
      (C(unsaved)); and whether a restore leaves the data that is there (C(grows))."
    type: dict
    required: true
  unmark:
    description: Whether the mark goes that says that the role has converged. Without it, the next run converges it
      again, whatever the state says of it.
    type: bool
    required: true
author: [Terrace]
"""

KINDS = ("programs", "users", "paths", "data")
RARE = ("tables",)
MANIFESTS = Path("/etc/terrace")
SYSTEMD = Path("/run/systemd/system")


def _left_behind(old: dict, made: dict) -> list[str]:
    """Return data of before that is there and would not be known any more."""
    gone = [Path(path) for path in old.get("data", []) if path not in made["data"]]
    return [str(path) for path in gone if path.is_dir() and any(path.iterdir())]


def _write(file: Path, content: str) -> None:
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(content)
    new.replace(file)


def main() -> None:
    """Compare, then write unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "entry": {"type": "str", "required": True},
            "made": {"type": "dict", "required": True},
            "unmark": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    made = module.params["made"]
    file = MANIFESTS / module.params["environment"] / "manifest.d" / f"{module.params['entry']}.json"
    old = json.loads(file.read_text()) if file.is_file() else {}
    if left := _left_behind(old, made):
        module.fail_json(
            msg=f"{left[0]} holds data, and the spec now says {', '.join(made['data']) or 'nothing of it'}. "
            "Terrace moves no data: set the spec back, or move the folder yourself and run this again."
        )
    kinds = [*KINDS, *(kind for kind in RARE if made.get(kind) or kind in old)]
    noted = {kind: list(dict.fromkeys([*made.get(kind, []), *old.get(kind, [])])) for kind in kinds}
    noted["unsaved"] = made.get("unsaved", [])
    if made.get("grows"):
        noted["grows"] = True
    changed = noted != old
    if changed and not module.check_mode:
        _write(file, json.dumps(noted, indent=4) + "\n")
    if module.params["unmark"] and not module.check_mode:
        file.with_suffix(".converged").unlink(missing_ok=True)
    module.exit_json(changed=changed, systemd=SYSTEMD.is_dir())


if __name__ == "__main__":
    main()
