#!/usr/bin/python3
"""Ansible module: removes what one role instance noted in the host's manifest, or all that the manifest lists."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_remove
short_description: Remove what the manifest lists
description:
  - Stops the programs that an entry of the manifest lists, removes their files, users, and nftables tables, brings back
    what terrace_machine changed, and forgets the entry.
  - A user whose data is kept stays, so that its files keep an owner. The home of one who goes is shut, root's then.
options:
  environment: {description: The environment., type: str, required: true}
  entry: {description: Name of one entry; all of them when empty., type: str, default: ""}
  keep: {description: What is made still; of the entry only the other programs and paths are removed., type: dict}
  delete_data: {description: Whether data is removed too., type: bool, required: true}
author: [Terrace]
"""

STOP_SECONDS = 40
NFT = Path("/usr/sbin/nft")
KERNEL = Path("/proc/sys")
MANIFESTS = Path("/etc/terrace")


def _run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _stop_programs(environment: str, programs: list[str]) -> None:
    """Make the supervisor forget the programs; both supervisors wait for them to end."""
    if Path("/run/systemd/system").is_dir():
        for program in programs:
            unit = Path(f"/etc/systemd/system/{program}.service")
            _run("systemctl", "disable", "--now", unit.name)
            unit.unlink(missing_ok=True)
        _run("systemctl", "daemon-reload")
        return
    supervisor = Path(f"/etc/terrace/{environment}/supervisor/supervisord.conf")
    if programs and supervisor.is_file():
        _run("supervisorctl", "-c", str(supervisor), "stop", *programs)
        _run("supervisorctl", "-c", str(supervisor), "remove", *programs)


def _stop_user(name: str) -> None:
    """End every process of a user: what it left behind has no supervisor any more."""
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return
    deadline = time.monotonic() + STOP_SECONDS
    number = signal.SIGTERM
    while processes := _processes(uid):
        for process in processes:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.2)


def _processes(uid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            alive = "State:\tZ" not in (folder / "status").read_text()
            if alive and folder.stat().st_uid == uid:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _remove_path(path: str) -> None:
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_user(name: str) -> None:
    if _run("id", "-u", name).returncode == 0:
        user = pwd.getpwnam(name)
        _run("userdel", name)
        _shut_home(Path(user.pw_dir), user.pw_uid)
    if _run("getent", "group", name).returncode == 0:
        _run("groupdel", name)


def _shut_home(home: Path, uid: int) -> None:
    """Let nobody into the home that an account leaves: its number will be somebody else's."""
    if home.is_dir() and not home.is_symlink() and home.stat().st_uid == uid:
        os.chown(home, 0, 0)
        home.chmod(0o700)


def _restore(note: Path) -> None:
    """Bring back what terrace_machine changed: what others have changed since then, or still want, stays as it is."""
    before = json.loads(note.read_text()) if note.is_file() else {}
    others = [json.loads(other.read_text()) for other in MANIFESTS.glob("*/manifest.d/*.before") if other != note]
    for name, values in before.get("settings", {}).items():
        file = KERNEL / name
        wanted = any(name in other.get("settings", {}) for other in others)
        if not wanted and file.exists() and file.read_text().split() == values["ours"].split():
            file.write_text(values["before"])
    for path, modes in before.get("modes", {}).items():
        wanted = any(path in other.get("modes", {}) for other in others)
        if not wanted and Path(path).exists() and f"{Path(path).stat().st_mode & 0o7777:04o}" == modes["ours"]:
            Path(path).chmod(int(modes["before"], 8))
    note.unlink(missing_ok=True)


def _remove(file: Path, environment: str, delete_data: bool) -> None:
    entry = json.loads(file.read_text())
    _stop_programs(environment, entry["programs"])
    for user in entry["users"]:
        _stop_user(user)
    for table in entry.get("tables", []) if NFT.exists() else []:
        _run(str(NFT), "delete", "table", "inet", table)
    _restore(file.with_suffix(".before"))
    for path in entry["paths"]:
        _remove_path(path)
    if delete_data:
        for path in entry["data"]:
            _remove_path(path)
    if delete_data or not any(Path(path).exists() for path in entry["data"]):
        for user in entry["users"]:
            _remove_user(user)
    file.unlink()
    file.with_suffix(".converged").unlink(missing_ok=True)


def _settle(file: Path, environment: str, keep: dict, *, check: bool) -> list[str]:
    """Remove the programs and paths that are made no more; data, and users, stay noted."""
    entry = json.loads(file.read_text())
    programs = [program for program in entry["programs"] if program not in keep["programs"]]
    paths = [path for path in entry["paths"] if path not in keep["paths"]]
    if not check and (programs or paths):
        _stop_programs(environment, programs)
        for path in paths:
            if not any(Path(path) in Path(kept).parents for kept in (*keep["paths"], *entry["data"])):
                _remove_path(path)
        new = file.with_name(f".{file.name}.new")
        new.touch(mode=0o600)
        new.write_text(json.dumps({**entry, "programs": keep["programs"], "paths": keep["paths"]}, indent=4) + "\n")
        new.replace(file)
    return [*programs, *paths]


def _remove_kept_data(environment: str) -> None:
    """Remove data that earlier removals kept, and the users that were kept as its owners."""
    for folder in Path("/var/lib/terrace", environment).glob("*"):
        try:
            owner = pwd.getpwuid(folder.lstat().st_uid).pw_name
        except KeyError:
            owner = ""
        _remove_path(folder)
        if owner.startswith(f"terrace-{environment}-"):
            _remove_user(owner)


def main() -> None:
    """Remove the entry, or all of them."""
    module = AnsibleModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "entry": {"type": "str", "default": ""},
            "keep": {"type": "dict"},
            "delete_data": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    environment = module.params["environment"]
    folder = MANIFESTS / environment / "manifest.d"
    files = sorted(folder.glob(f"{module.params['entry'] or '*'}.json"))
    if (keep := module.params["keep"]) is not None:
        gone = [made for file in files for made in _settle(file, environment, keep, check=module.check_mode)]
        module.exit_json(changed=bool(gone), removed=gone)
    if not module.check_mode:
        for file in files:
            _remove(file, environment, module.params["delete_data"])
        if module.params["delete_data"] and not module.params["entry"]:
            _remove_kept_data(environment)
    module.exit_json(changed=bool(files), removed=[file.stem for file in files])


if __name__ == "__main__":
    main()
