"""What a step prints of people is masked in its log, wherever the stream is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.pipelines.programs.intake.logs import StepLog
from components.pipelines.programs.intake.personal import HELD_BYTES, PersonalMasker, mask

# Made up, or published as examples: nobody's.
SHOWN = {
    b"jane.doe+x@mail.example.org": b"[e-mail address]",
    b"+49 30 12345678": b"[telephone number]",
    b"+1 (212) 555-0143": b"[telephone number]",
    b"4111 1111 1111 1111": b"[payment card]",
    b"378282246310005": b"[payment card]",
    b"DE89 3704 0044 0532 0130 00": b"[bank account]",
    b"GB82WEST12345698765432": b"[bank account]",
}
LINE = b"row 7: %s, at 2013-07-04T12:00:00+00:00\n"


@pytest.mark.parametrize(("said", "kept"), SHOWN.items())
def test_each_kind_is_masked(said: bytes, kept: bytes) -> None:
    assert mask(LINE % said) == LINE % kept


@pytest.mark.parametrize(
    "harmless",
    [
        b"AUC 0.7434 on 166,668 later flights, +0.0885 over the schedule alone",
        b"run 20261124T101336.123456 1732443216123456789 4111 1111 1111 1112",
        b"/api/2.0/mlflow/runs/4f1e0e2b41111111111111112a9d/get",
        b"DE89 3704 0044 0532 0130 01",
        b"sha256:4111111111111111aa postgresql+psycopg 10 +- 2 c++ 1+1234567",
    ],
)
def test_other_output_stays_as_it_is(harmless: bytes) -> None:
    assert mask(harmless) == harmless


@given(st.lists(st.sampled_from([*SHOWN, b"plain", b"0.5"]), max_size=8), st.integers(1, 40))
def test_where_the_stream_is_cut_does_not_matter(words: list[bytes], size: int) -> None:
    whole = b"".join(LINE % word for word in words)
    masker = PersonalMasker()
    shown = b"".join(masker.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + masker.flush()
    assert shown == mask(whole)


@pytest.mark.parametrize("said", SHOWN)
@pytest.mark.parametrize("before", range(HELD_BYTES // 2 - 40, HELD_BYTES // 2 + 8, 3))
def test_an_endless_line_is_shown_in_time_and_masked_across_its_cuts(said: bytes, before: int) -> None:
    masker, whole = PersonalMasker(), b"x" * before + b" " + said + b" " + b"y" * 2 * HELD_BYTES
    shown = b"".join(masker.feed(whole[at : at + 100]) for at in range(0, len(whole), 100))
    assert len(shown) >= len(whole) - HELD_BYTES - 100 - len(said)
    assert shown + masker.flush() == mask(whole)


def test_a_steps_log_holds_neither_secrets_nor_personal_data(tmp_path: Path) -> None:
    with StepLog(tmp_path / "log", 1000, [b"hunter2"]) as log:
        log.write(b"hunt")
        log.write(b"er2 of jane.doe@exam")
        log.write(b"ple.org")
    assert (tmp_path / "log").read_bytes() == b"*** of [e-mail address]"
