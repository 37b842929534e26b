#!/usr/bin/python3
"""Ansible module: installs Debian packages, keeps their services from starting, and notes what came with them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_packages
short_description: Install packages and note what came with them
description:
  - Installs packages that are missing. Which ones come with them is noted in the host's manifest first, so that the
    end of the environment can remove just these.
  - Services that the distribution would start, now or at a boot, and the database cluster that it would make, are
    kept from it; those of packages that were there before are left alone. Which ones is noted, too.
  - One at a time on a host, whoever runs it.
options:
  environment: {description: The environment., type: str, required: true}
  packages: {description: Names of packages., type: list, elements: str, required: true}
  proxy: {description: HTTP proxy for downloads; empty for none., type: str, default: ""}
  start: {description: Whether their services may start, later on., type: bool, default: false}
author: [Terrace]
"""

LOCK = Path("/run/lock/terrace-packages.lock")
MANIFESTS = Path("/etc/terrace")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# Put here by Terrace while it installs packages: it starts services itself.\nexit 101\n"
CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
CLUSTER_TEXT = "# Put here by Terrace before it installed PostgreSQL.\ncreate_main_cluster = false\n"
UNIT = re.compile(r"(?:/usr)?/lib/systemd/system/([^/@]+\.(?:service|socket|timer|path))")
MASKS = Path("/etc/systemd/system")
SCRIPTS = Path("/etc/init.d")
APT = ["apt-get", "--quiet", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]


class Failed(Exception):
    """A command failed."""


def _run(*command: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", "W:", "dpkg:"))]
        raise Failed("\n".join(lines[-10:]) or f"{command[0]} ended with exit code {done.returncode}")
    return done.stdout


def _missing(packages: list[str]) -> list[str]:
    listed = _run("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n").splitlines()
    installed = {line.split()[0] for line in listed if line.endswith(" installed")}
    return [package for package in packages if package not in installed]


def _note(packages: list[str], note: Path) -> None:
    """Add what installing the packages would bring; what it would only upgrade was there before."""
    steps = [line.split() for line in _run(*APT, "--simulate", "install", *packages).splitlines()]
    coming = [words[1] for words in steps if words[:1] == ["Inst"] and not words[2].startswith("[")]
    noted = note.read_text().split() if note.is_file() else []
    note.touch(mode=0o600)
    note.write_text("".join(f"{name}\n" for name in dict.fromkeys([*noted, *coming])))


@contextlib.contextmanager
def _services_kept_from_starting() -> Iterator[None]:
    """Put the policy in place, unless the host has one of its own."""
    if POLICY.exists() and POLICY.read_text() != POLICY_TEXT:
        yield
        return
    POLICY.write_text(POLICY_TEXT)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _install(packages: list[str], note: Path) -> None:
    _note(packages, note)
    if "postgresql" in packages and not CLUSTER.exists():
        CLUSTER.parent.mkdir(exist_ok=True)
        CLUSTER.write_text(CLUSTER_TEXT)
    with _services_kept_from_starting():
        _run(*APT, "install", *packages)


def _install_with_new_lists(packages: list[str], note: Path) -> None:
    """Try once more after what commonly stands in the way: an installation cut short, and old package lists."""
    try:
        _install(packages, note)
    except Failed:
        with _services_kept_from_starting():
            _run("dpkg", "--configure", "-a")
        _run(*APT, "update")
        _install(packages, note)


def _starting(packages: list[str], note: Path) -> list[Path]:
    """Return what would start at a boot of what ``packages`` brought: masks that are missing, and scripts.

    Only what came with the environment counts, and of it only what was built with the packages that it asked for:
    a dependency's timer is no service of the platform.
    """
    noted = set(note.read_text().split()) if note.is_file() else set()
    listed = _run(
        "dpkg-query", "--show", "--showformat=${Package} ${source:Package} ${db:Status-Status}\n"
    ).splitlines()
    sources = {words[0]: words[1] for line in listed if (words := line.split())[-1] == "installed"}
    asked = {sources[package] for package in packages if package in sources}
    names = [package for package in sorted(noted & set(sources)) if sources[package] in asked]
    files = _run("dpkg-query", "--listfiles", *names).splitlines() if names else []
    masks = [MASKS / match[1] for file in files if (match := UNIT.fullmatch(file))]
    scripts = [Path(file) for file in files if Path(file).parent == SCRIPTS]
    return [
        *(mask for mask in masks if not os.path.lexists(mask)),
        *(script for script in scripts if list(Path("/etc").glob(f"rc[2-5].d/S[0-9][0-9]{script.name}"))),
    ]


def _keep_from_starting(found: list[Path], record: Path) -> None:
    """Mask units and disable scripts; an administrator's own unit of that name is left alone."""
    noted = record.read_text().split() if record.is_file() else []
    record.touch(mode=0o600)
    record.write_text("".join(f"{path}\n" for path in dict.fromkeys([*noted, *map(str, found)])))
    for path in found:
        if path.parent == SCRIPTS:
            _run("update-rc.d", path.name, "disable")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(os.devnull)
    if Path("/run/systemd/system").is_dir():
        _run("systemctl", "daemon-reload")


def main() -> None:
    """Compare, then install unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "proxy": {"type": "str", "default": "", "no_log": True},
            "start": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if module.params["proxy"]:
        os.environ |= {"http_proxy": module.params["proxy"], "https_proxy": module.params["proxy"]}
    note = MANIFESTS / module.params["environment"] / "manifest.d" / "packages"
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not module.check_mode and POLICY.exists() and POLICY.read_text() == POLICY_TEXT:
            POLICY.unlink()  # an installation that was cut short has left it
        try:
            missing = _missing(module.params["packages"])
            if missing and not module.check_mode:
                _install_with_new_lists(missing, note)
        except Failed as error:
            module.fail_json(msg=f"the packages {', '.join(missing)} can't be installed:\n{error}")
        starting = [] if module.params["start"] else _starting(module.params["packages"], note)
        if starting and not module.check_mode:
            _keep_from_starting(starting, note.with_name("masked"))
    module.exit_json(changed=bool(missing or starting), installed=missing, masked=[str(path) for path in starting])


if __name__ == "__main__":
    main()
