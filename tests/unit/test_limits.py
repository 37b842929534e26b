"""Files and functions stay short enough to be read at once; CONTRIBUTING.md says how short."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES, FUNCTION_LINES = 300, 40
LISTED = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
FILES = [ROOT / name for name in LISTED.split() if (ROOT / name).is_file()]


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 300


@pytest.mark.parametrize("folder", sorted({file.relative_to(ROOT).parts[0] for file in FILES}))
def test_files_and_functions_are_short(folder: str) -> None:
    long = []
    for file in FILES:
        name = file.relative_to(ROOT)
        if name.parts[0] != folder:
            continue
        text = file.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > FILE_LINES:
            long.append(f"{name}: {lines} lines")
        for part in ast.walk(ast.parse(text)):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (part.end_lineno or part.lineno) - part.lineno + 1
                if lines > FUNCTION_LINES:
                    long.append(f"{name}:{part.lineno}: {part.name} has {lines} lines")
    assert long == []
