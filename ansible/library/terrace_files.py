#!/usr/bin/python3
"""Ansible module: puts files and folders in place in one step, each with its owner and mode."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_files
short_description: Put files and folders in place
description:
  - Makes folders, then writes files; a reader sees a file's old or new content, never half of it.
  - Of the folders in O(only), whatever is not listed is removed; folders named __pycache__ are left alone.
options:
  folders:
    description: Folders, upper ones first, each with path, owner, mode, and optionally group (the owner's by default).
    type: list
    elements: dict
    default: []
  files:
    description:
      - Files, each with path, content, owner, mode, and optionally group, and the folder that its path begins at.
      - Folders between a file and one in O(only) are made.
    type: list
    elements: dict
    default: []
  only:
    description: Folders that hold nothing but what is listed.
    type: list
    elements: path
    default: []
author: [Terrace]
"""

FOLDER_MODES = {"0600": "0700", "0640": "0750", "0644": "0755"}  # of the folders between, by the files' mode


def _owner(wanted: dict) -> tuple[int, int] | None:
    """Return uid and gid; in check mode the user may not be there yet."""
    try:
        return pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted.get("group", wanted["owner"])).gr_gid
    except KeyError:
        return None


def _differs(path: Path, wanted: dict) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    attributes = (status.st_uid, status.st_gid), status.st_mode & 0o7777
    if attributes != (_owner(wanted), int(wanted["mode"], 8)):
        return True
    if "content" not in wanted:
        return not path.is_dir()
    return not path.is_file() or path.read_bytes() != wanted["content"].encode()


def _make(folder: dict) -> None:
    path = Path(folder["path"])
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, *_owner(folder), follow_symlinks=False)
    path.chmod(int(folder["mode"], 8))


def _write(file: dict) -> None:
    path = Path(file["path"])
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(file["content"].encode())
    os.chown(new, *_owner(file))
    new.chmod(int(file["mode"], 8))
    new.replace(path)


def _between(files: list[dict], only: list[Path]) -> list[dict]:
    """Return the folders between files and the folders of `only`, the upper ones first."""
    found = {}
    for file in files:
        for parent in Path(file["path"]).parents:
            if any(root in parent.parents for root in only):
                found[str(parent)] = {**file, "path": str(parent), "mode": FOLDER_MODES[file["mode"]]}
                del found[str(parent)]["content"]
    return [found[path] for path in sorted(found)]


def _unlisted(only: list[Path], files: list[dict]) -> list[Path]:
    wanted = {Path(file["path"]) for file in files}
    found = [path for root in only for path in root.rglob("*") if not path.is_dir() and "__pycache__" not in path.parts]
    return [path for path in found if path not in wanted]


def main() -> None:
    """Compare, then write unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "folders": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "list", "elements": "dict", "default": [], "no_log": True},
            "only": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    only = [Path(path) for path in module.params["only"]]
    files = [{**file, "path": str(Path(file.get("folder", "/"), file["path"]))} for file in module.params["files"]]
    folders = [
        each for each in [*module.params["folders"], *_between(files, only)] if _differs(Path(each["path"]), each)
    ]
    changed = [file for file in files if _differs(Path(file["path"]), file)]
    removed = _unlisted(only, files)
    if not module.check_mode:
        for folder in folders:
            _make(folder)
        for file in changed:
            _write(file)
        for path in removed:
            path.unlink()
    module.exit_json(
        changed=bool(changed or removed or folders),
        written=[file["path"] for file in changed],
        removed=[str(path) for path in removed],
    )


if __name__ == "__main__":
    main()
