"""A second environment beside the first: the same platform on ports of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrace import config
from terrace.errors import InputError
from terrace.new_environment import stack_file_like
from terrace.resolve import resolve

LOCAL = """\
# what it is
encryptionsalt: v1:abc=:v1:def=:ghi=
config:
  terrace:tier: 3  # automated
  terrace:target: host
  terrace:platform:
    name: platform
    tracking: {workers: 2}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(LOCAL, encoding="utf-8")
    return tmp_path


def ports_of(root: Path, environment: str) -> set[int]:
    return set(resolve(config.load(root, environment)).ports.values())


def add(root: Path, name: str, text: str) -> None:
    (root / "stacks" / f"Pulumi.{name}.yaml").write_text(text, encoding="utf-8")


def test_no_two_environments_share_a_port_or_a_salt(root: Path) -> None:
    for name in ("dev", "staging"):
        add(root, name, stack_file_like(root, "local"))
    assert "encryptionsalt" not in stack_file_like(root, "local")
    everyone = [ports_of(root, name) for name in ("local", "dev", "staging")]
    assert len(set.union(*everyone)) == 3 * len(everyone[0])


def test_everything_else_stays_comments_too(root: Path) -> None:
    add(root, "dev", stack_file_like(root, "local", tier=2))
    text = (root / "stacks" / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    assert text.startswith("# what it is\nconfig:\n  terrace:tier: 2  # automated\n")
    assert config.load(root, "dev").spec.slots["tracking"].workers == 2


def test_a_shift_can_be_asked_for(root: Path) -> None:
    add(root, "dev", stack_file_like(root, "local", shift=10000))
    assert ports_of(root, "dev") == {port + 10000 for port in ports_of(root, "local")}


def test_without_another_environment_on_its_ports_nothing_moves(root: Path, tmp_path: Path) -> None:
    wrong = LOCAL.replace("tier: 3", "tier: 9")
    add(root, "wrong", wrong)
    text = stack_file_like(root, "local", shift=0)
    assert "port" not in text


def test_secrets_are_not_copied(root: Path) -> None:
    add(root, "local", LOCAL + "    network: {proxy: {secure: 'v1:YWJj:ZGVm'}}\n")
    with pytest.raises(InputError, match="secrets, which can't be copied"):
        stack_file_like(root, "local")
