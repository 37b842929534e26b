"""What of a role's variables nobody gets to see."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from terrace.certificates import _authority
from terrace.password import PASSWORD_BYTES
from terrace.redaction import redact

GENERATED = secrets.token_urlsafe(PASSWORD_BYTES)


@pytest.mark.parametrize(
    "variables",
    [
        {"database_password": "hush-hush-hush"},
        {"service_secrets": {"TOKEN": "hush-hush-hush"}},
        {"secret_list": ["hush-hush-hush"]},
        {"terrace_package_index": "hush-hush-hush"},
        {"service_secrets": {"ACCOUNTS": json.dumps([{"name": "admin", "password": "hush-hush-hush"}])}},
        {"service_secrets": {"STORE_URI": "postgresql://mlflow:hush-hush-hush@127.0.0.1:5432/mlflow"}},
        {"service_files": [{"path": "smtp.password", "content": "hush-hush-hush\n"}]},
        {"service_files": [{"path": "a.yaml", "content": "a: 1\npath: postgresql://u:hush-hush-hush@db/x\n"}]},
    ],
)
def test_secrets_are_redacted(variables: dict[str, Any]) -> None:
    assert redact("it said hush-hush-hush!", variables) == "it said [secret]!"


@pytest.mark.parametrize("content", ["[a]\nkey = {}\n", "password: {}\nnext: 1\n", '{{"a": 1,\n"b": "{}"}}'])
def test_generated_passwords_in_files_are_redacted(content: str) -> None:
    variables = {"service_files": [{"path": "x", "content": content.format(GENERATED)}]}
    assert redact(f"FATAL: no {GENERATED} here", variables) == "FATAL: no [secret] here"


def test_a_private_key_in_a_file_is_redacted() -> None:
    _, key = _authority("Test")
    said = redact(key, {"service_files": [{"path": "ca.key", "content": key}]})
    lines = key.splitlines()[1:-1]
    assert lines
    assert not [line for line in lines if line in said]


def test_what_is_no_secret_or_too_short_stays() -> None:
    assert redact("port 5432 of db", {"port": "5432", "password": "db"}) == "port 5432 of db"
    files = [{"path": "x.ini", "content": "[server]\nhttp_port = 5432\n"}]
    assert redact("http_port is 5432", {"service_files": files}) == "http_port is 5432"


def test_the_longest_secret_is_redacted_first() -> None:
    variables = {"password": "abcdefgh", "secret": "abcdefgh-more"}
    assert redact("abcdefgh-more", variables) == "[secret]"
