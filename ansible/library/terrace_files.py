#!/usr/bin/python3
"""Ansible module: fills a folder with exactly the given files, all in one step and readable by one user alone."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_files
short_description: Fill a folder with exactly the given files
description:
  - Writes files and removes those that are not listed, in one step; folders get mode 0700, files 0600.
  - Folders named __pycache__ are left alone.
options:
  folder: {description: The folder., type: path, required: true}
  owner: {description: User and group that own all of it., type: str, required: true}
  files:
    description: The files, each with a relative path and its content.
    type: list
    elements: dict
    required: true
author: [Terrace]
"""


def _owner(name):
    """Return uid and gid; in check mode the user may not be there yet."""
    try:
        return pwd.getpwnam(name).pw_uid, grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _differs(file, content, mode, owner):
    try:
        status = file.lstat()
        return (status.st_uid, status.st_gid) != owner or status.st_mode & 0o7777 != mode or file.read_text() != content
    except FileNotFoundError:
        return True


def _write(file, content, owner):
    """Put the file in place in one step, so that no reader sees half of it."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(content)
    os.chown(new, *owner)
    new.replace(file)


def _folders(root, paths):
    """Return the folder and those below it that hold files, the upper ones first."""
    below = {parent for path in paths for parent in (root / path).parents if root in parent.parents}
    return [root, *sorted(below)]


def _unlisted(root, paths):
    wanted = {root / path for path in paths}
    found = [file for file in root.rglob("*") if not file.is_dir() and "__pycache__" not in file.parts]
    return [file for file in found if file not in wanted]


def main():
    """Compare, then write unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    root, files = Path(module.params["folder"]), module.params["files"]
    owner = _owner(module.params["owner"])
    paths = [file["path"] for file in files]
    changed = [file["path"] for file in files if _differs(root / file["path"], file["content"], 0o600, owner)]
    removed = [str(file.relative_to(root)) for file in _unlisted(root, paths)]
    folders = [
        folder
        for folder in _folders(root, paths)
        if not folder.is_dir()
        or folder.stat().st_mode & 0o7777 != 0o700
        or (folder.stat().st_uid, folder.stat().st_gid) != owner
    ]
    if not module.check_mode:
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
            os.chown(folder, *owner)
        for file in files:
            if file["path"] in changed:
                _write(root / file["path"], file["content"], owner)
        for path in removed:
            (root / path).unlink()
    module.exit_json(changed=bool(changed or removed or folders), written=changed, removed=removed)


if __name__ == "__main__":
    main()
