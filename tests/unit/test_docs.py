"""What the documentation says of the tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_prove_what_a_fault_does_are_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (ROOT / "tests" / "host" / file).read_text(encoding="utf-8")
    ]
    assert missing == []
