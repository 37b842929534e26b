"""Passphrase encryption, and that no secret leaves it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from terrace.engine import Event, PassphraseError, StateError, find_passphrase
from terrace.engine.secrets import Crypter, new_salt
from tests.engine.engine_world import PASSPHRASE, SALT, World

SECRETS = ("hunter22", "s3cr3t-key", "t0ken")
# `value` would be part of an output that only the provider knows of, which is plain with the Pulumi CLI too.
WITH_SECRETS = """
    config = pulumi.Config()
    key = config.require_secret_object("secrets")["key"]
    options = Options(additional_secret_outputs=["token"])
    a = Thing("a", options, password=config.require_secret("password"), deep={"list": [key]}, stage=stage)
    Thing("b", options, token_of_a=a.token)
    pulumi.export("key", key)
    pulumi.export("token", a.token)
"""


def test_what_was_encrypted_can_be_decrypted(crypter: Crypter) -> None:
    first, second = crypter.encrypt("ä secret"), crypter.encrypt("ä secret")
    assert first != second  # each has its own nonce
    assert crypter.decrypt(first) == crypter.decrypt(second) == "ä secret"


def test_a_new_salt_opens_with_its_passphrase_only() -> None:
    salt = new_salt("one")
    Crypter(salt, lambda: "one", "here").unlock()
    with pytest.raises(PassphraseError, match="here: the passphrase is wrong"):
        Crypter(salt, lambda: "two", "here").unlock()


def test_the_passphrase_is_asked_for_when_it_is_needed_and_once() -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return PASSPHRASE

    crypter = Crypter(SALT, ask, "here")
    assert asked == []
    crypter.decrypt(crypter.encrypt("x"))
    crypter.unlock()
    assert asked == [1]


@pytest.mark.parametrize(
    ("salt", "what"),
    [
        ("v2:unRlJG25QHI=:v1:a:b", "isn't one that this version can read"),
        ("v1:unRlJG25QHI=", "isn't one that this version can read"),
        ("v1:un!:v1:a:b", "the encryption salt is damaged"),
    ],
)
def test_a_salt_that_is_not_pulumis(salt: str, what: str) -> None:
    crypter = Crypter(salt, lambda: PASSPHRASE, "Pulumi.dev.yaml")
    with pytest.raises(StateError, match=f"Pulumi.dev.yaml: .*{what}"):
        crypter.unlock()
    crypter.try_unlock()  # leaves the telling to whoever needs the key


@pytest.mark.parametrize("damage", ["v2", "nonce", "text", "no base64"])
def test_a_damaged_ciphertext(crypter: Crypter, damage: str) -> None:
    _, nonce, sealed = crypter.encrypt("hunter22").split(":")
    other = base64.b64encode(b"x" * 12).decode()
    broken = {
        "v2": f"v2:{nonce}:{sealed}",
        "nonce": f"v1:{other}:{sealed}",
        "text": f"v1:{nonce}:{base64.b64encode(base64.b64decode(sealed)[:-1]).decode()}",
        "no base64": f"v1:{nonce}:!",
    }
    with pytest.raises(StateError, match="a secret can't be decrypted"):
        crypter.decrypt(broken[damage])


@pytest.mark.parametrize("operation", ["preview", "up", "refresh", "destroy"])
def test_a_wrong_passphrase_ends_the_operation_before_it_begins(world: World, operation: str) -> None:
    assert world.run("up", 1).ok
    before = world.checkpoint.read_bytes()
    with pytest.raises(PassphraseError, match="the passphrase is wrong") as caught:
        getattr(world.stack(passphrase="wrong"), operation)()
    assert str(world.root / "Pulumi.dev.yaml") in str(caught.value)
    assert "PULUMI_CONFIG_PASSPHRASE" in str(caught.value)
    assert world.checkpoint.read_bytes() == before
    assert len(world.calls()) == 3
    assert world.run("up", 1).ok  # the lock is free


def test_no_secret_is_plain_in_any_file_or_event(world: World) -> None:
    world.write(WITH_SECRETS)
    events: list[Event] = []
    for operation, stage in (("up", 1), ("up", 2), ("refresh", 2)):
        assert world.run(operation, stage, on_event=events.append).ok
    files = [path for path in (world.root / ".pulumi").rglob("*") if path.is_file()]
    assert len(files) >= 8  # checkpoint, its backup, and each operation's history and backup
    for path in files:
        assert not [secret for secret in SECRETS if secret in path.read_text(encoding="utf-8")], path
    assert not [secret for secret in SECRETS if secret in str(events)]
    assert "hunter22" in (world.root / "things/a.json").read_text(encoding="utf-8")


def test_no_secret_in_the_message_of_a_failure(world: World) -> None:
    world.write(
        """
        password = pulumi.Config().require_secret("password")
        Thing("a", value=password, label=pulumi.Output.format("a-{}", password), fail=["create"])
        """
    )
    events: list[Event] = []
    result = world.run("up", 1, on_event=events.append)
    assert not result.ok
    assert [error.message for error in result.errors] == ["RuntimeError: create of [secret] was told to fail"]
    assert "hunter22" not in str(events)


def test_no_secret_in_what_the_program_prints(world: World) -> None:
    world.write('pulumi.Config().require_secret("password").apply(lambda text: print(f"it is {text}"))')
    events: list[Event] = []
    assert world.run("up", 1, on_event=events.append).ok
    assert "it is [secret]" in str(events)
    assert "hunter22" not in str(events)


def test_outputs_are_masked_without_the_passphrase(tmp_path: Path) -> None:
    world = World(tmp_path, "secret_values")
    assert world.run("up", 1).outputs["password"] == "[secret]"

    def refuse() -> str:
        raise AssertionError("asked for the passphrase")

    stack = world.stack()
    stack._passphrase = refuse
    assert stack.outputs()["password"] == "[secret]"
    (shown,) = [item for item in stack.resources() if item.urn == world.urn("b")]
    assert shown.inputs["list"] == "[secret]"
    assert world.stack().outputs(show_secrets=True)["password"] == "hunter22"


def test_a_new_stack_gets_a_salt_in_its_file_and_state(world: World) -> None:
    (world.root / "Pulumi.dev.yaml").write_text("# mine\nconfig:\n  parity:stage: 1\n", encoding="utf-8")
    events: list[Event] = []
    assert world.stack().up(on_event=events.append).ok
    text = (world.root / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    comment, salt, rest = text.split("\n", 2)
    assert (comment, rest) == ("# mine", "config:\n  parity:stage: 1\n")
    assert salt.removeprefix("encryptionsalt: ") in world.checkpoint.read_text(encoding="utf-8")
    assert "added an encryption salt" in str(events)
    assert world.stack().up().summary == {"same": 4}


def test_a_lost_stack_file_gets_the_salt_of_the_state(world: World) -> None:
    assert world.run("up", 1).ok
    path = world.root / "Pulumi.dev.yaml"
    path.write_text("config:\n  parity:stage: 1\n", encoding="utf-8")
    assert world.stack().up().ok
    assert path.read_text(encoding="utf-8").startswith(f"encryptionsalt: {SALT}\n")


def test_another_salt_in_the_stack_file_reseals_the_state(world: World) -> None:
    assert world.run("up", 1).ok
    salt = new_salt(PASSPHRASE)
    (world.root / "Pulumi.dev.yaml").write_text(
        f"encryptionsalt: {salt}\nconfig:\n  parity:stage: 2\n", encoding="utf-8"
    )
    assert world.stack().up().ok
    assert SALT not in world.checkpoint.read_text(encoding="utf-8")
    assert world.stack().up().summary == {"same": 4}


def test_a_made_passphrase_is_the_owners_only_and_found_again(tmp_path: Path) -> None:
    made = find_passphrase("parity", "dev")
    path = tmp_path / "config/terrace/parity/dev.passphrase"
    assert (made.made, made.source) == (True, str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again = find_passphrase("parity", "dev", has_secrets=True)
    assert (again.value, again.made) == (made.value, False)
    assert made.value not in repr(made)
