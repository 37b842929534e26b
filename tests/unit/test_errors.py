"""What an error says."""

from __future__ import annotations

from terrace.errors import InputError, InputErrors, Location, OperationError

HERE = Location("stacks/Pulumi.local.yaml", 10, 2)


def test_an_error_says_where_what_why_and_fix() -> None:
    error = OperationError("it broke", where=HERE, why="it was old", fix="Replace it.")

    assert str(error) == "stacks/Pulumi.local.yaml:10:2: it broke\n  why: it was old\n  fix: Replace it."
    assert str(InputError("it broke")) == "it broke"


def test_errors_are_in_the_order_of_their_places_and_then_those_without() -> None:
    early = InputError("early", where=Location("stacks/Pulumi.local.yaml", 9, 80))
    late, file, none = InputError("late", where=HERE), InputError("file", where="a file"), InputError("none")

    errors = InputErrors([none, late, file, early])

    assert errors.errors == (early, late, none, file)
    assert str(errors).splitlines()[0] == str(early)
