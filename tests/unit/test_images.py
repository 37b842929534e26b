"""Which image a workload runs in: by address, by digest once locked, in a mirror where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrace.errors import InputError, InputErrors
from terrace.images import Images, lock
from terrace.images.reference import Reference, parse
from terrace.images.table import ImageTable
from terrace.workload import Artifact

TABLE = ImageTable.load()
POSTGRES, PYTHON = TABLE.upstream["postgres"].reference, TABLE.upstream["python"].reference
DIGEST = "sha256:" + "a" * 64
MIRROR = "registry.example.com:5000/mirror"


def test_every_own_image_has_a_lock_and_a_base() -> None:
    locks = {file.stem for file in (Path(__file__).parents[2] / "components" / "locks").glob("*.txt")}

    assert set(TABLE.own) <= locks
    assert "python" in TABLE.upstream


def test_addresses_are_whole_and_tags_are_exact() -> None:
    assert [name for name, image in TABLE.upstream.items() if "." not in image.reference.host] == []
    assert [name for name, image in TABLE.upstream.items() if image.tag.count(".") < 2 and "." not in image.tag] == []
    assert [name for name, image in TABLE.upstream.items() if image.tag == "latest"] == []


def test_an_artifact_has_its_image() -> None:
    images = Images("", None, TABLE)

    assert images.reference(Artifact(packages=("postgresql",), image="postgres")) == POSTGRES.tagged
    assert images.reference(Artifact()) == PYTHON.tagged
    own = images.reference(Artifact(lock="mlflow", package="mlflow"))
    assert own.startswith("localhost/terrace/mlflow:")


def test_software_for_hosts_alone_has_none() -> None:
    images = Images("", None, TABLE)

    with pytest.raises(ValueError, match="no image stands beside them"):
        images.reference(Artifact(lock="gateway", packages=("nginx-light",)))
    with pytest.raises(ValueError, match="no 'uv' among its own images"):
        images.reference(Artifact(lock="uv"))


def test_a_mirror_has_every_image_by_its_whole_address() -> None:
    images = Images(MIRROR, None, TABLE)

    assert images.upstream("postgres") == f"{MIRROR}/{POSTGRES.tagged}"
    assert images.own("mlflow").startswith(f"{MIRROR}/terrace/mlflow:")


def test_a_locked_image_is_named_by_its_digest() -> None:
    digests = {POSTGRES.tagged: DIGEST}

    assert Images("", digests, TABLE).upstream("postgres") == f"{POSTGRES.repository}@{DIGEST}"
    assert Images(MIRROR, digests, TABLE).upstream("postgres") == f"{MIRROR}/{POSTGRES.repository}@{DIGEST}"


def test_where_images_are_locked_none_is_used_that_isnt() -> None:
    with pytest.raises(InputError, match=r"images\.lock: there is no digest of .*postgres") as caught:
        Images("", {}, TABLE).upstream("postgres")
    assert caught.value.fix == "terrace images lock"

    with pytest.raises(InputError, match="no digest of terrace/mlflow") as caught:
        Images(MIRROR, {PYTHON.tagged: DIGEST}, TABLE).own("mlflow")
    assert caught.value.fix == "terrace images build --push"


def test_an_own_image_without_a_registry_has_no_digest_to_name() -> None:
    assert ":" in Images("", {PYTHON.tagged: DIGEST}, TABLE).own("mlflow")


def test_a_tag_follows_what_the_image_is_made_from_and_nothing_else() -> None:
    unlocked, locked = Images("", None, TABLE), Images("", {PYTHON.tagged: DIGEST}, TABLE)
    mirrored = Images(MIRROR, {PYTHON.tagged: DIGEST}, TABLE)

    assert len({unlocked.own_image(name).reference for name in TABLE.own}) == len(TABLE.own)
    assert unlocked.own_image("feast").reference != locked.own_image("feast").reference
    assert locked.own_image("feast").reference == mirrored.own_image("feast").reference


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "images.lock"
    assert lock.read(file) is None

    own = Reference("terrace/mlflow", "0123456789abcdef", "sha256:" + "b" * 64)
    lock.write([own, lock.pinned(POSTGRES, {POSTGRES.tagged: DIGEST})], file)

    assert lock.read(file) == {POSTGRES.tagged: DIGEST, own.tagged: own.digest}
    assert [line for line in file.read_text().splitlines() if line[0] != "#"] == [
        f"{POSTGRES.tagged}@{DIGEST}",
        f"{own.tagged}@{own.digest}",
    ]


def test_everything_wrong_in_a_lock_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "images.lock"
    file.write_text(
        f"# comment\n\n{POSTGRES.tagged}\n{POSTGRES.tagged}@{DIGEST}\n{POSTGRES.tagged}@sha256:{'b' * 64}\n"
    )

    with pytest.raises(InputErrors) as caught:
        lock.read(file)

    first, second = str(caught.value).split("\ncomponents/")
    assert first.startswith(f"components/images.lock:3:1: '{POSTGRES.tagged}' is not written as repository:tag@sha256:")
    assert second.startswith(f"images.lock:5:1: {POSTGRES.tagged} has another digest further up")


@pytest.mark.parametrize("text", ["a@sha256:1", f"UPPER/x:1@{DIGEST}", f"a/b:@{DIGEST}", f"a//b:1@{DIGEST}", ""])
def test_what_is_no_reference_is_none(text: str) -> None:
    assert parse(text) is None
