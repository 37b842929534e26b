"""Values in the state, on the wire, and shown."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terrace.engine.errors import StateError, UnsupportedError
from terrace.engine.secrets import Crypter
from terrace.engine.values import (
    RESOURCE,
    SECRET,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_WIRE,
    Secret,
    Unknown,
    contains,
    decode,
    encode,
    equal,
    from_wire,
    keep_secrets,
    mask,
    reveal,
    secret_texts,
    to_wire,
)
from tests.engine.engine_world import PASSPHRASE, SALT

_CRYPTER = Crypter(SALT, lambda: PASSPHRASE, "here")
_LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text()
_PLAIN = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


@given(value=_PLAIN)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_stored_comes_back(value: Any) -> None:
    for given_ in (value, Secret(value), {"deep": [Secret(value), UNKNOWN]}):
        stored = json.loads(json.dumps(encode(given_, _CRYPTER), allow_nan=False))
        assert equal(decode(stored, _CRYPTER), given_)


def test_whole_numbers_are_stored_without_a_fraction() -> None:
    assert json.dumps(encode({"a": 5432.0, "b": 0.5}, _CRYPTER)) == '{"a": 5432, "b": 0.5}'


def test_numbers_that_json_lacks() -> None:
    stored = json.dumps(encode([math.nan, -math.inf], _CRYPTER), allow_nan=False)
    nan, infinite = decode(json.loads(stored), _CRYPTER)
    assert math.isnan(nan)
    assert infinite == -math.inf


def test_a_secret_is_encrypted_in_the_state() -> None:
    stored = encode(Secret("hunter22"), _CRYPTER)
    assert set(stored) == {SIGNATURE, "ciphertext"}
    assert "hunter22" not in json.dumps(stored)


def test_an_unchanged_secret_keeps_its_ciphertext() -> None:
    stored = encode(Secret("hunter22"), _CRYPTER)
    assert encode(decode(stored, _CRYPTER), _CRYPTER) == stored


def test_another_crypter_seals_anew() -> None:
    secret = Secret("hunter22")
    first = secret.seal(_CRYPTER)
    other = Crypter(SALT, lambda: PASSPHRASE, "elsewhere")
    second = secret.seal(other)
    assert first != second
    assert other.decrypt(second) == '"hunter22"'


def test_a_secret_exported_in_plain_text_can_be_imported() -> None:
    assert equal(decode({SIGNATURE: SECRET, "plaintext": '{"a": 1}'}, _CRYPTER), Secret({"a": 1}))


def test_a_secret_without_content_is_damage() -> None:
    with pytest.raises(StateError, match="neither ciphertext nor plaintext"):
        decode({SIGNATURE: SECRET}, _CRYPTER)


@pytest.mark.parametrize(
    ("signature", "named"),
    [
        ("c44067f5952c0a294b673a41bacd8c17", "assets and archives"),
        ("0def7320c3a5731c473e5ecbe6d01bc7", "assets and archives"),
        ("feed", "values of signature feed"),
    ],
)
def test_values_of_the_cli_only_are_refused(signature: str, named: str) -> None:
    with pytest.raises(UnsupportedError, match=named):
        decode({SIGNATURE: signature}, _CRYPTER)
    with pytest.raises(UnsupportedError, match=named):
        from_wire(to_wire({"a": {SIGNATURE: signature}}, secrets=True))


def test_marked_values_on_the_wire() -> None:
    values = {
        "secret": {SIGNATURE: SECRET, "value": "x"},
        "known": {SIGNATURE: _OUTPUT, "value": 1.0},
        "both": {SIGNATURE: _OUTPUT, "value": "y", "secret": True},
        "later": {SIGNATURE: _OUTPUT},
        "list": [UNKNOWN, None, True],
    }
    found = from_wire(to_wire(values, secrets=True))
    expected = {
        "secret": Secret("x"),
        "known": 1.0,
        "both": Secret("y"),
        "later": UNKNOWN,
        "list": [UNKNOWN, None, True],
    }
    assert equal(found, expected)


def test_a_provider_sees_no_secrets_and_ids_instead_of_references() -> None:
    custom = {SIGNATURE: RESOURCE, "urn": "urn:a", "id": "id-a"}
    component = {SIGNATURE: RESOURCE, "urn": "urn:b"}
    values = {"password": Secret(["x", UNKNOWN]), "custom": custom, "component": component}
    assert from_wire(to_wire(values, secrets=False)) == {
        "password": ["x", UNKNOWN],
        "custom": "id-a",
        "component": "urn:b",
    }
    assert equal(from_wire(to_wire(values, secrets=True)), values)


def test_a_secret_differs_from_the_plain_value_and_true_from_one() -> None:
    assert not equal(Secret(1), 1)
    assert not equal(1, Secret(1))
    assert not equal({"a": [True]}, {"a": [1]})
    assert not equal([1], [1, 2])
    assert not equal({"a": 1}, {"b": 1})
    assert equal({"a": [Secret(1.0)]}, {"a": [Secret(1)]})


def test_masking_needs_no_passphrase() -> None:
    def refuse() -> str:
        raise AssertionError("asked for the passphrase")

    sealed = Secret.sealed("v1:a:b", Crypter(SALT, refuse, "here"))
    assert mask({"a": [sealed, UNKNOWN, 2.0]}) == {"a": ["[secret]", "[unknown]", 2]}
    assert repr(sealed) == "[secret]"


def test_revealing_opens_secrets_in_secrets() -> None:
    assert reveal({"a": Secret([Secret("x"), 1.0])}) == {"a": ["x", 1]}


def test_what_stands_anywhere_in_a_value() -> None:
    assert contains({"a": [Secret({"b": UNKNOWN})]}, Unknown)
    assert contains([1, {"a": Secret(1)}], Secret)
    assert not contains({"a": [1, "x"]}, Secret)


def test_outputs_are_secret_where_the_inputs_are() -> None:
    outputs = {"a": "x", "deep": {"b": "y", "c": "z"}, "list": [1], "own": "w"}
    keep_secrets(
        outputs, {"a": Secret("x"), "deep": {"b": Secret("y"), "c": "z"}, "list": [Secret(1)], "gone": Secret(1)}
    )
    expected = {"a": Secret("x"), "deep": {"b": Secret("y"), "c": "z"}, "list": Secret([1]), "own": "w"}
    assert equal(outputs, expected)


def test_texts_to_remove_from_messages() -> None:
    assert secret_texts({"a": Secret({"b": ["x", "", 1], "c": Secret("y")}), "d": ["open"]}) == {"x", "y"}


def test_a_copy_of_a_secret_that_was_read_has_its_value() -> None:
    stored = encode({"a": Secret({"b": "x"})}, _CRYPTER)
    read = decode(stored, _CRYPTER)
    copied = copy.deepcopy(read)
    assert equal(copied, {"a": Secret({"b": "x"})})
    assert encode(copied, _CRYPTER) == stored


def test_a_copy_of_a_new_secret_is_its_own() -> None:
    secret = Secret(["x"])
    copied = copy.deepcopy({"a": secret, "b": UNKNOWN})
    copied["a"].value.append("y")
    assert secret.value == ["x"]
    assert copied["b"] is UNKNOWN


def test_unknown_is_stored_as_pulumi_writes_it() -> None:
    assert encode(UNKNOWN, _CRYPTER) == UNKNOWN_WIRE
