"""Secrets never pass, however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.pipelines.programs.intake.masking import Masker


def masked(secrets: list[bytes], *pieces: bytes) -> bytes:
    masker = Masker(secrets)
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.flush()])


@pytest.mark.parametrize(
    ("secrets", "pieces", "shown"),
    [
        ([b"hunter22"], [b"a hunter22 b"], b"a *** b"),
        ([b"hunter22"], [b"a hun", b"ter", b"22 b"], b"a *** b"),
        ([b"hunter22"], [b"a hunter2"], b"a hunter2"),
        ([b"one\ntwo"], [b"one\n", b"two\n"], b"***\n"),
        ([b"abcd", b"abcdef"], [b"abcd", b"ef abcdx"], b"*** ***x"),
        ([b"xxab", b"abcd"], [b"xxab", b"!"], b"***!"),
        ([b"a.c+"], [b"abc a.c+"], b"abc ***"),
        ([], [b"as it is"], b"as it is"),
        ([b""], [b"as it is"], b"as it is"),
    ],
)
def test_each_secret_is_replaced(secrets: list[bytes], pieces: list[bytes], shown: bytes) -> None:
    assert masked(secrets, *pieces) == shown


def test_nothing_is_held_back_that_can_not_begin_a_secret() -> None:
    assert Masker([b"hunter22"]).feed(b"progress: 10 %\n") == b"progress: 10 %\n"


@given(st.lists(st.text("ab", min_size=2, max_size=5), min_size=1, max_size=3), st.text("abc", max_size=40), st.data())
def test_cutting_the_stream_changes_nothing(names: list[str], text: str, data: st.DataObject) -> None:
    secrets, whole = [name.encode() for name in names], text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]
    shown = masked(secrets, *pieces)
    assert not any(secret in shown for secret in secrets)
    assert shown == masked(secrets, whole)
