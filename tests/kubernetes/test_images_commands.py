"""`terrace images` against a real registry: what is locked, what is noticed, and what is built and pushed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from terrace.cli import application
from terrace.images import Images, lock
from terrace.images.table import ImageTable
from terrace.workload import Artifact
from tests.kubernetes.registries import registry
from tests.kubernetes.small_images import Registry

ROOT = Path(__file__).parents[2]
UPSTREAM = {name: image.reference for name, image in ImageTable.load().upstream.items()}
OWN = ImageTable.load().own
# Stands in for docker: notes what it is told, and pushes a small image by the registry's own API.
ENGINE = f"""#!{sys.executable}
import sys
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})
from tests.kubernetes.small_images import Registry

with (Path(__file__).parent / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if sys.argv[1] == "build":
    assert (Path(sys.argv[-1]) / "requirements.txt").read_text()
else:
    host, _, rest = sys.argv[2].partition("/")
    name, _, tag = rest.partition(":")
    Registry(host, None).push(name, tag, name)
"""


@pytest.fixture(scope="module")
def served(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(distribution, tmp_path_factory.mktemp("mirror")) as made:
        yield made


@pytest.fixture
def mirror(served: Registry, request: pytest.FixtureRequest) -> str:
    """Return a registry's address with a path of this test's own."""
    return f"{served.host}/{request.node.name.replace('_', '-')}"


@pytest.fixture
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str) -> Path:
    """Make a project with an environment that has the mirror, and return where its lock goes."""
    (tmp_path / "Pulumi.yaml").write_text("name: terrace\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    network = f"  terrace:platform: {{network: {{image_registry: '{mirror}'}}}}\n"
    config = "config:\n  terrace:tier: 1\n  terrace:target: kubernetes\n"
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text(config + network)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "images.lock"
    monkeypatch.setattr(lock, "LOCK", file)
    return file


@pytest.fixture
def copied(served: Registry, mirror: str) -> dict[str, str]:
    """Copy small images in place of all upstream ones to the mirror; returns their digests by name."""
    path = mirror.partition("/")[2]
    return {name: served.push_index(f"{path}/{image.repository}", image.tag, name) for name, image in UPSTREAM.items()}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program called docker on PATH, and nothing else; returns what it notes its calls in."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "docker").write_text(ENGINE)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder / "calls"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(application(), ["images", *arguments])


def test_what_is_locked_is_what_the_registry_has(lock_file: Path, copied: dict[str, str], mirror: str) -> None:
    done = run("lock", "prod")

    assert (done.exit_code, f"locked {len(UPSTREAM)} images" in done.stdout) == (0, True), done.output
    assert lock.read(lock_file) == {image.tagged: copied[name] for name, image in UPSTREAM.items()}
    pulled = Images.load(mirror, lock_file).reference(Artifact(image="postgres"))
    assert pulled == f"{mirror}/docker.io/library/postgres@{copied['postgres']}"


def test_own_images_that_are_not_built_yet_are_named(lock_file: Path, copied: dict[str, str], mirror: str) -> None:
    done = run("lock", "prod")

    names = ", ".join(OWN)
    assert f"{mirror} has no {names} yet: terrace images build prod --push" in done.stderr


def test_an_image_that_was_not_copied_is_named_and_nothing_is_locked(lock_file: Path, mirror: str) -> None:
    done = run("lock", "prod", "--json")

    errors = json.loads(done.stderr)
    assert done.exit_code == 1
    assert [error["error"]["where"] for error in errors] == [f"{mirror}/{image.tagged}" for image in UPSTREAM.values()]
    assert not lock_file.exists()


def test_a_tag_that_moved_is_noticed(lock_file: Path, copied: dict[str, str], mirror: str, served: Registry) -> None:
    run("lock", "prod")
    postgres = UPSTREAM["postgres"]
    moved = served.push(f"{mirror.partition('/')[2]}/{postgres.repository}", postgres.tag, "another")

    done = run("lock", "prod")

    assert f"{postgres.tagged} is another image than before; it was {copied['postgres']}" in done.stderr
    assert f"{postgres.tagged} is for one platform alone" in done.stderr
    assert (lock.read(lock_file) or {})[postgres.tagged] == moved


def test_a_registry_that_is_away_leaves_the_lock_as_it_is(lock_file: Path, copied: dict[str, str]) -> None:
    run("lock", "prod")
    before = lock_file.read_text()
    stack = lock_file.parent / "stacks" / "Pulumi.prod.yaml"
    stack.write_text(stack.read_text().replace("image_registry: '127.0.0.1:", "image_registry: '127.0.0.2:"))

    done = run("lock", "prod")

    assert (done.exit_code, "no answer from 127.0.0.2" in done.stderr) == (1, True), done.output
    assert lock_file.read_text() == before


def test_own_images_are_built_once_pushed_and_locked(
    lock_file: Path, copied: dict[str, str], mirror: str, engine: Path
) -> None:
    run("lock", "prod")

    done = run("build", "prod", "--push")

    assert done.exit_code == 0, done.output
    calls = engine.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["build", "push"] * len(OWN)
    base = f"{mirror}/docker.io/library/python@{copied['python']}"
    assert Images.load(mirror, lock_file).reference(Artifact()) == base
    for name in OWN:
        assert "@sha256:" in Images.load(mirror, lock_file).own(name)

    again = run("build", "prod", "--push", "--json")
    assert {image["done"] for image in json.loads(again.stdout)} == {"is there already"}
    assert engine.read_text().splitlines() == calls
    locked = lock_file.read_text()
    assert run("lock", "prod").stderr == ""
    assert lock_file.read_text() == locked


def test_without_a_lock_pushing_makes_none(lock_file: Path, engine: Path) -> None:
    assert run("build", "prod", "--push").exit_code == 0
    assert not lock_file.exists()


def test_the_list_says_what_to_copy_where(lock_file: Path, copied: dict[str, str], mirror: str) -> None:
    run("lock", "prod")

    rows = {row["name"]: row for row in json.loads(run("list", "prod", "--json").stdout)}

    postgres, digest = UPSTREAM["postgres"], copied["postgres"]
    assert rows["postgres"] == {
        "name": "postgres",
        "source": f"{postgres.repository}@{digest}",
        "destination": f"{mirror}/{postgres.tagged}",
        "image": f"{mirror}/{postgres.repository}@{digest}",
        "locked": True,
        "use": "The database.",
    }
    assert (rows["mlflow"]["source"], rows["mlflow"]["locked"]) == (None, False)
    assert set(rows) == {*UPSTREAM, *OWN}
