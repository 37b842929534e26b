"""Whom alerts reach, by what the stack file says."""

from __future__ import annotations

from typing import Any

import pytest

from terrace.notify import Notify, is_loopback, unheard

SECRET = {"secure": "v1:YWJj:YWJj"}
HOOK = {"webhook": {"url": "https://hooks.example.org/x"}}
CHAT = {"chat": {"url": SECRET}}


def test_without_notify_nobody_is_told() -> None:
    assert "nobody is told of alerts" in unheard(None)[0]


def test_a_severity_that_has_no_route_goes_all_ways() -> None:
    notify = Notify.model_validate({**HOOK, **CHAT, "routes": {"warning": ["chat"]}})

    assert notify.ways == ("webhook", "chat")
    assert notify.route("critical") == ("webhook", "chat")
    assert notify.route("warning") == ("chat",)
    assert unheard(notify) == ()


def test_a_severity_that_goes_nowhere_is_named() -> None:
    assert unheard(Notify.model_validate({**HOOK, "routes": {"critical": []}})) == (
        "nobody is told of critical alerts",
    )


@pytest.mark.parametrize(
    ("host", "stays"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("mail", False)]
)
def test_what_stays_on_the_machine(host: str, stays: bool) -> None:
    assert is_loopback(host) is stays


@pytest.mark.parametrize(
    "given",
    [
        {"email": {"host": "127.0.0.1", "from": "a@b", "to": ["c@d"], "tls": False, "user": "a", "password": SECRET}},
        {"webhook": {"url": "http://127.0.0.1:9/x", "token": SECRET}},
    ],
)
def test_a_receiver_on_the_machine_itself_needs_no_tls(given: dict[str, Any]) -> None:
    assert Notify.model_validate(given).ways


def test_no_secret_is_shown() -> None:
    notify = Notify.model_validate({**CHAT, "webhook": {"url": "https://x", "token": SECRET}})

    assert "YWJj" not in repr(notify)
