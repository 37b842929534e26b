#!/usr/bin/python3
"""Ansible module: removes the Debian packages that came with an environment, or leaves them to another one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_packages_removed
short_description: Remove packages that came with an environment
description:
  - Where the host has another environment, that one takes over what the manifest notes, and nothing is removed.
  - A package stays, with all that needs it, where its folders hold what is not the package's own, such as a database
    cluster or a site's configuration that somebody made; C(kept) says which and why. The others are purged.
  - What was done to keep the services from starting is undone.
options:
  environment: {description: The environment., type: str, required: true}
author: [Terrace]
"""

LOCK = Path("/run/lock/terrace-packages.lock")
MANIFESTS = Path("/etc/terrace")
NOTES = ("packages", "masked")
SCRIPTS = Path("/etc/init.d")
MASKS = Path("/etc/systemd/system")
SHARED = re.compile(r"(?:/etc|/var|/srv|/opt)(?:/(?:lib|log|cache|spool))?")  # what many packages have
LISTED = "${Package}\\t${Depends}, ${Pre-Depends}\\t${db:Status-Status}\\n"
MADE = ("/etc/postgresql-common/root.crt",)  # by scripts of packages
OWN_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")  # written by terrace_packages
UCF = Path("/var/lib/ucf/hashfile")


def _run(*command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def _others(environment: str) -> list[Path]:
    return [folder for folder in sorted(MANIFESTS.glob("*/manifest.d")) if folder.parent.name != environment]


def _hand_over(manifest: Path, other: Path) -> None:
    for name in NOTES:
        lines = [file.read_text().split() if file.is_file() else [] for file in (other / name, manifest / name)]
        (other / name).touch(mode=0o600)
        (other / name).write_text("".join(f"{line}\n" for line in dict.fromkeys([*lines[0], *lines[1]])))


def _installed(noted: list[str]) -> dict[str, set[str]]:
    """Return those that are installed, each with the names of packages that it depends on."""
    lines = [line.split("\t") for line in _run("dpkg-query", "--show", f"--showformat={LISTED}").stdout.splitlines()]
    return {
        name: set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", depends))
        for name, depends, status in lines
        if name in noted and status == "installed"
    }


def _listings(packages: list[str]) -> dict[str, set[str]]:
    """Return the paths of each package."""
    lists = _run("dpkg-query", "--listfiles", *packages).stdout.split("\n\n")
    return {package: set(listing.splitlines()) for package, listing in zip(packages, lists, strict=True)}


def _digests(packages: list[str]) -> dict[str, dict[str, str]]:
    """Return the digests of each package's configuration files, as they were installed."""
    found: dict[str, dict[str, str]] = {package: {} for package in packages}
    for line in _run("dpkg-query", "--show", "--showformat=${Package}\n${Conffiles}\n", *packages).stdout.splitlines():
        if line in found:
            package = line
        elif len(words := line.split()) > 1:
            found[package][words[0]] = words[1]
    return found


def _is_own(file: Path, paths: set[str], digests: dict[str, str]) -> bool:
    """Tell whether a file is a package's own, unchanged, or was made by its installation."""
    if file.is_symlink():
        return os.path.realpath(file) in paths
    if not file.is_file():
        return False
    if str(file) in digests:
        return hashlib.md5(file.read_bytes()).hexdigest() == digests[str(file)]  # noqa: S324  # as dpkg keeps it
    return str(file) in paths or str(file) in MADE or file.stat().st_size == 0


def _in_use(packages: dict[str, set[str]], kept_from_starting: list[Path]) -> dict[str, str]:
    """Return the packages that somebody uses, each with a path or a package that shows it.

    Looks at those whose services were kept from starting. What they depend on (a certificate that its installation
    made, say) is nobody's own, and dpkg keeps it as long as anything needs it.
    """
    listings, configuration = _listings(list(packages)), _digests(list(packages))
    paths = set().union(*listings.values())
    digests = {path: digest for each in configuration.values() for path, digest in each.items()}
    digests |= {path: digest for digest, path in (line.split(None, 1) for line in _ucf_lines())}
    if OWN_CLUSTER.is_file() and "Put here by Terrace" in OWN_CLUSTER.read_text():
        paths.add(str(OWN_CLUSTER))
        digests.pop(str(OWN_CLUSTER), None)
    alone = _folders(paths, set(packages))
    used: dict[str, str] = {}
    services = {path for path in paths if Path(path) in kept_from_starting or _mask(path) in kept_from_starting}
    for package, listing in listings.items():
        if not services & listing:
            continue
        for file in (*map(Path, configuration[package]), *_below(sorted(alone & listing))):
            if os.path.lexists(file) and not _is_own(file, paths, digests):
                used[package] = str(file)
                break
    while needing := {
        name: min(on & set(used)) for name, on in packages.items() if on & set(used) and name not in used
    }:
        used |= needing
    return used


def _mask(path: str) -> Path | None:
    """Return the mask of a unit."""
    file = Path(path)
    return MASKS / file.name if str(file.parent).endswith("/lib/systemd/system") else None


def _folders(paths: set[str], packages: set[str]) -> set[str]:
    """Return the folders that no package has which stays."""
    places = [path for path in paths if path.startswith(("/etc/", "/var/", "/srv/", "/opt/"))]
    folders = [path for path in sorted(places) if Path(path).is_dir() and not SHARED.fullmatch(path)]
    owners: dict[str, set[str]] = {folder: set() for folder in folders}
    for line in _run("dpkg-query", "--search", *folders).stdout.splitlines() if folders else []:
        names, _, path = line.rpartition(": ")
        owners.get(path, set()).update(name.partition(":")[0] for name in names.split(", "))
    return {folder for folder, names in owners.items() if names <= packages}


def _below(folders: list[str]) -> Iterator[Path]:
    for folder in folders:
        for parent, links, files in os.walk(folder):
            yield from (Path(parent, name) for name in files)
            yield from (Path(parent, name) for name in links if Path(parent, name).is_symlink())


def _ucf_lines() -> list[str]:
    return UCF.read_text().splitlines() if UCF.is_file() else []


def _let_start(kept_from_starting: list[Path]) -> None:
    """Undo what kept services from starting."""
    for path in kept_from_starting:
        if path.parent == SCRIPTS:
            if path.exists():
                _run("update-rc.d", path.name, "enable")
        elif path.is_symlink() and path.readlink() == Path(os.devnull):
            path.unlink()
    if Path("/run/systemd/system").is_dir():
        _run("systemctl", "daemon-reload")


def main() -> None:
    """Hand over, or remove."""
    module = AnsibleModule(argument_spec={"environment": {"type": "str", "required": True}}, supports_check_mode=True)
    manifest = MANIFESTS / module.params["environment"] / "manifest.d"
    noted = (manifest / "packages").read_text().split() if (manifest / "packages").is_file() else []
    if not noted or module.check_mode:
        module.exit_json(changed=bool(noted))
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if others := _others(module.params["environment"]):
            _hand_over(manifest, others[0])
            module.exit_json(changed=True, left_to=others[0].parent.name)
        packages = _installed(noted)
        record = manifest / "masked"
        kept_from_starting = [Path(line) for line in record.read_text().split()] if record.is_file() else []
        used = _in_use(packages, kept_from_starting)
        _let_start(kept_from_starting)
        going = [package for package in packages if package not in used]
        # dpkg refuses to remove what a package of somebody else needs, and that is what is wanted.
        done = _run("dpkg", "--purge", "--abort-after=9999", *going) if going else None
        if done and done.returncode not in (0, 1):
            module.fail_json(msg=f"dpkg could not remove packages:\n{done.stderr[-2000:]}")
    module.exit_json(changed=bool(going), kept=used)


if __name__ == "__main__":
    main()
