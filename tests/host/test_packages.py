"""Debian packages that come and go with an environment: small ones, made here and kept in a repository of their own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.conftest import ENVIRONMENT, ROOT

pytestmark = pytest.mark.drill

NAME = f"terrace-packages-of-{ENVIRONMENT}"
SOURCES = Path(f"/etc/apt/sources.list.d/{NAME}.list")
SERVER, LIBRARY = f"{NAME}-server", f"{NAME}-library"
MASK = Path(f"/etc/systemd/system/{SERVER}.service")
CONFIGURATION = Path(f"/etc/{SERVER}")
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides: {0}
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
"""


def _module(name: str, manifests: Path, **options: Any) -> dict[str, Any]:
    """Run an Ansible module; manifests of other environments on the machine are none of its business."""
    code = f"import pathlib, {name} as module; module.MANIFESTS = pathlib.Path({str(manifests)!r}); module.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"environment": "own", **options}}),
        env={**os.environ, "PYTHONPATH": str(ROOT / "ansible" / "library")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _build(repository: Path, name: str, files: dict[str, str], depends: str = "", source: str = NAME) -> str:
    """Make a package whose files in /etc are configuration, and whose purge removes its folder there."""
    folder = repository / name
    scripts = {
        "control": f"Package: {name}\nSource: {source}\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\n"
        f"Description: for a test\n{f'Depends: {depends}' if depends else 'Section: misc'}\n",
        "conffiles": "".join(f"{path}\n" for path in files if path.startswith("/etc/")),
        "postinst": f"#!/bin/sh -e\n[ ! -e /etc/init.d/{name} ] || update-rc.d {name} defaults\n",
        "postrm": f"#!/bin/sh -e\n[ $1 != purge ] || {{ rm -rf /etc/{name}; update-rc.d {name} remove; }}\n",
    }
    for path, content in {**files, **{f"/DEBIAN/{script}": text for script, text in scripts.items()}}.items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        file.chmod(0o755 if path.startswith(("/DEBIAN/post", "/etc/init.d")) else 0o644)
    archive = repository / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder, archive], check=True, capture_output=True)
    shutil.rmtree(folder)
    content = archive.read_bytes()
    where = f"Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    return scripts["control"] + where + "\n"


@pytest.fixture
def manifests(tmp_path: Path) -> Iterator[Path]:
    """Two packages that can be installed, and an environment that has nothing yet."""
    manifests, repository = tmp_path / "manifests", Path(tempfile.mkdtemp(prefix="terrace-repository-"))
    repository.chmod(0o755)  # apt reads it as a user of its own
    (manifests / "own" / "manifest.d").mkdir(parents=True)
    server = {
        f"/lib/systemd/system/{SERVER}.service": UNIT,
        f"/etc/init.d/{SERVER}": SCRIPT.format(SERVER),
        f"/etc/{SERVER}/sites/default": "one\n",
    }
    library = {f"/lib/systemd/system/{LIBRARY}.service": UNIT}
    index = _build(repository, SERVER, server, depends=LIBRARY) + _build(repository, LIBRARY, library, source="other")
    (repository / "Packages").write_text(index, encoding="utf-8")
    SOURCES.write_text(f"deb [trusted=yes] file:{repository} ./\n", encoding="utf-8")
    apart = ["-o", f"Dir::Etc::SourceList={SOURCES}", "-o", "Dir::Etc::SourceParts=-", "-o", "APT::Get::List-Cleanup=0"]
    try:
        updated = subprocess.run(["apt-get", "update", "-q", *apart], capture_output=True, text=True, check=False)
        assert updated.returncode == 0, updated.stderr
        yield manifests
    finally:
        subprocess.run(["dpkg", "--purge", SERVER, LIBRARY], check=False, capture_output=True)
        shutil.rmtree(CONFIGURATION, ignore_errors=True)
        MASK.unlink(missing_ok=True)
        SOURCES.unlink()
        shutil.rmtree(repository)
        for left in Path("/var/lib/apt/lists").glob(f"*{repository.name.replace('_', '%5f')}*"):
            left.unlink()


def _installed(name: str) -> bool:
    shown = subprocess.run(["dpkg-query", "-Wf${db:Status-Status}", name], capture_output=True, text=True, check=False)
    return shown.stdout not in ("", "not-installed")


def _starts_at_boot() -> list[Path]:
    return list(Path("/etc").glob(f"rc[2-5].d/S*{SERVER}"))


def test_services_of_a_package_that_came_are_kept_from_starting_at_a_boot(manifests: Path) -> None:
    result = _module("terrace_packages", manifests, packages=[SERVER])
    assert (result["changed"], result["installed"]) == (True, [SERVER])
    assert MASK.readlink() == Path("/dev/null")
    assert _starts_at_boot() == []
    assert not MASK.with_name(f"{LIBRARY}.service").is_symlink(), "what a dependency brought is no service of ours"
    assert _module("terrace_packages", manifests, packages=[SERVER])["changed"] is False

    MASK.unlink()
    assert _module("terrace_packages", manifests, packages=[SERVER])["masked"] == [str(MASK)]

    assert _module("terrace_packages_removed", manifests)["kept"] == {}
    assert not MASK.is_symlink()
    assert [name for name in (SERVER, LIBRARY) if _installed(name)] == []
    assert not CONFIGURATION.exists()


def test_a_package_that_was_there_before_is_left_alone(manifests: Path) -> None:
    subprocess.run(["apt-get", "install", "-qy", SERVER], check=True, capture_output=True)
    assert _module("terrace_packages", manifests, packages=[SERVER])["changed"] is False
    assert not MASK.is_symlink()
    assert _starts_at_boot() != []
    assert _module("terrace_packages_removed", manifests)["changed"] is False
    assert _installed(SERVER)


@pytest.mark.parametrize("file", ["sites/mine", "sites/default"])
def test_a_package_that_somebody_uses_stays_with_what_they_made(manifests: Path, file: str) -> None:
    _module("terrace_packages", manifests, packages=[SERVER])
    (CONFIGURATION / file).write_text("mine\n", encoding="utf-8")
    assert _module("terrace_packages_removed", manifests)["kept"] == {SERVER: str(CONFIGURATION / file)}
    assert (CONFIGURATION / file).read_text(encoding="utf-8") == "mine\n"
    assert _installed(SERVER)
    assert _installed(LIBRARY), "dpkg keeps what it needs"
    assert not MASK.is_symlink(), "its services are somebody's own now"
    assert _starts_at_boot() != []


def test_another_environment_takes_the_packages_over(manifests: Path) -> None:
    _module("terrace_packages", manifests, packages=[SERVER])
    (manifests / "other" / "manifest.d").mkdir(parents=True)
    assert _module("terrace_packages_removed", manifests)["left_to"] == "other"
    assert _installed(SERVER)
    assert MASK.is_symlink()
    (manifests / "own").rename(manifests / "gone")
    (manifests / "other").rename(manifests / "own")
    shutil.rmtree(manifests / "gone")
    assert _module("terrace_packages_removed", manifests)["kept"] == {}
    assert not _installed(SERVER)
    assert not MASK.is_symlink()
