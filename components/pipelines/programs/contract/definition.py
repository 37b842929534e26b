"""What ``pipeline.yaml`` may say. Shared by the service and by the clients that send pipelines."""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from .cron import Cron

FILE_NAME = "pipeline.yaml"
LARGEST_BYTES = 256 * 1024
WEEK = 7 * 24 * 3600
# The pause before a further attempt grows up to this.
LONGEST_PAUSE_SECONDS = 30.0

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]
StepName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)]
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in ``pipeline.yaml``; ``line`` and ``column`` count from 1."""

    line: int
    column: int
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{FILE_NAME}:{self.line}:{self.column}: {self.message}" + (f" ({self.fix})" if self.fix else "")


class DefinitionError(ValueError):
    """All problems of one ``pipeline.yaml``, in the order of their places."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepDefinition(_Strict):
    """One step: a program that ends with exit code 0 when it succeeded."""

    name: StepName = Field(description="Unique within the pipeline.")
    command: tuple[Word, ...] = Field(min_length=1, description="The program and its arguments; no shell reads it.")
    retries: int = Field(0, ge=0, le=10, strict=True, description="How often it is tried again after it failed.")
    timeout: int | None = Field(
        None, ge=1, le=WEEK, strict=True, description="Longest time of one attempt (seconds); else the run's."
    )

    @field_validator("command")
    @classmethod
    def _has_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not command[0].strip():
            raise ValueError("the first word is the program to run and can't be empty")
        return command


class PipelineDefinition(_Strict):
    """A pipeline: steps that run in order, each only after the one before it succeeded."""

    name: Name = Field(description="Unique within the platform.")
    description: str = Field("", max_length=2000, description="What it is for.")
    schedule: str | None = Field(None, description="When it runs by itself: five cron fields, UTC.")
    timeout: int = Field(3600, ge=1, le=WEEK, strict=True, description="Longest time of a whole run (seconds).")
    steps: tuple[StepDefinition, ...] = Field(min_length=1, max_length=100, description="What runs, in this order.")

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, schedule: str | None) -> str | None:
        if schedule is not None:
            Cron.parse(schedule)
        return schedule

    @field_validator("steps")
    @classmethod
    def _unique(cls, steps: tuple[StepDefinition, ...]) -> tuple[StepDefinition, ...]:
        names = [step.name for step in steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each step needs a name of its own; used twice: {', '.join(twice)}")
        return steps

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a ``pipeline.yaml``.

        Raises:
            DefinitionError: It is not YAML, or not a pipeline; all problems at once.
        """
        data = _read(text)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise DefinitionError([_problem(data, dict(detail), cls) for detail in error.errors()]) from None


def _read(text: str) -> CommentedMap:
    if len(text) > LARGEST_BYTES:
        raise DefinitionError([Problem(1, 1, f"larger than {LARGEST_BYTES // 1024} KiB")])
    try:
        data = YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DefinitionError([Problem(line, column, str(error.problem).split("\n", 1)[0])]) from None
    except YAMLError as error:
        raise DefinitionError([Problem(1, 1, str(error).split("\n", 1)[0])]) from None
    if not isinstance(data, CommentedMap):
        raise DefinitionError([Problem(1, 1, "a pipeline is a mapping with at least 'name' and 'steps'")])
    return data


def _problem(data: CommentedMap, detail: dict[str, Any], model: type[BaseModel]) -> Problem:
    path: tuple[str | int, ...] = tuple(detail["loc"])
    line, column = _place(data, path, at_key=detail["type"] == "extra_forbidden")
    where = ".".join(str(part) for part in path)
    message, fix = _words(detail, path, model)
    return Problem(line + 1, column + 1, f"{where}: {message}", fix)


def _words(detail: dict[str, Any], path: tuple[str | int, ...], model: type[BaseModel]) -> tuple[str, str]:
    if detail["type"] == "extra_forbidden":
        known = list((StepDefinition if "steps" in path else model).model_fields)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        return "there is no such key", f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(known)}"
    if detail["type"] == "missing":
        return "is missing", ""
    if detail["type"] == "string_type":
        return f"must be text, not {detail['input']!r}", "put it in quotes"
    if detail["type"] == "string_pattern_mismatch" and path[-1] == "name":
        return f"{detail['input']!r} is not a name", "small letters, digits and '-', beginning with a letter"
    # Users write lists; tuples are this model's own way to keep them.
    return detail["msg"].removeprefix("Value error, ").replace("Tuple", "List").replace("tuple", "list"), ""


def _place(data: CommentedMap, path: tuple[str | int, ...], *, at_key: bool) -> tuple[int, int]:
    """Return the place, counted from 0, of the deepest part of ``path`` that exists."""
    here: Any = data
    line, column = data.lc.line, data.lc.col
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(here, CommentedMap) and part in here:
            line, column = here.lc.key(part) if at_key and last else here.lc.value(part)
            here = here[part]
        elif isinstance(here, CommentedSeq) and isinstance(part, int) and part < len(here):
            line, column = here.lc.item(part)
            here = here[part]
        else:
            break
    return line, column
