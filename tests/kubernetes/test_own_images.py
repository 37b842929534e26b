"""The build steps of own images, as far as they run without an engine: in an environment instead of an image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from components.programs import lock_text
from terrace.images import Images
from terrace.images.table import ImageTable

ROOT = Path(__file__).parents[2]
TABLE = ImageTable.load()
PYTHON = re.match(r"\d+\.\d+", TABLE.upstream["python"].tag)


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", TABLE.own)
@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_every_package_of_a_lock_is_there_built(name: str, architecture: str, tmp_path: Path) -> None:
    """The image has no compiler: what upstream publishes as source alone couldn't be installed."""
    assert PYTHON
    lock = ROOT / "components" / "locks" / f"{name}.txt"
    done = uv(
        *("pip", "install", "--dry-run", "--require-hashes", "--no-deps", "--only-binary=:all:"),
        *(f"--python-version={PYTHON[0]}", f"--python-platform={architecture}-manylinux_2_36"),  # Debian 12's glibc
        *(f"--target={tmp_path}", f"--requirement={lock}"),
    )

    assert done.returncode == 0, done.stderr


def test_pip_takes_the_words_of_the_containerfile(tmp_path: Path) -> None:
    """What the image runs as its one big step installs a lock, all of it and nothing else."""
    image = Images("", None, TABLE).own_image("timer")
    run = re.search(r"\n    python3 (-m pip install (?:.|\n)*?)\nUSER", image.containerfile(image.base))
    assert run
    made = uv("venv", "--seed", "--quiet", str(tmp_path / "venv"))
    assert made.returncode == 0, made.stderr
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(lock_text("timer"))
    words = run[1].replace("\\\n", " ").replace("/usr/local/share/terrace/requirements.txt", str(requirements)).split()
    python = tmp_path / "venv" / "bin" / "python"

    before = uv("pip", "freeze", "--python", str(python)).stdout.split()

    done = subprocess.run([str(python), *words], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    locked = [Requirement(line) for line in re.findall(r"(?m)^(\w.*?) \\$", lock_text("timer"))]
    wanted = {f"{each.name}{each.specifier}" for each in locked if each.marker is None or each.marker.evaluate()}
    assert set(uv("pip", "freeze", "--python", str(python)).stdout.split()) == wanted | set(before)


def test_a_package_that_was_changed_is_not_installed(tmp_path: Path) -> None:
    wrong = re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock_text("uv"))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(wrong)

    refused = uv("pip", "install", "--require-hashes", f"--target={tmp_path / 'out'}", f"--requirement={requirements}")

    assert refused.returncode != 0
    assert "hash" in refused.stderr.lower()
