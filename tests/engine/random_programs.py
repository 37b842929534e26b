"""Random programs as plain data, and random edits of them.

Numbers are never used twice, so that no edit leads back to a value that was there before: what is replaced gets an id
that was never used, as it would from a provider that makes up its own, and yet the id is the same in each run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from random import Random
from typing import TypeAlias

_TYPE = "pulumi-python:dynamic:Resource"


@dataclass(frozen=True, repr=False)
class Component:
    """A component.

    Attributes:
        key: What it is, whatever its name.
        name: Its logical name.
        earlier: The names that it had.
    """

    key: str
    name: str
    earlier: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{self.key} = Component({_arguments(self)})"


@dataclass(frozen=True, repr=False)
class Thing:
    """A resource.

    Attributes:
        key: What it is, whatever its name.
        name: Its logical name.
        earlier: The URNs that it had.
        component: The key of its parent, if it has one.
        value: An input that can be changed in place.
        fixed: An input whose change replaces the thing.
        secret: A secret input, unless it is 0.
        delete_first: Who wants it deleted before it is replaced: the ``provider``, the ``option``, or nobody.
        uses: The keys of things whose outputs are inputs of this one.
        fixed_by: The same, of inputs whose change replaces this thing.
        after: The keys of things and components that it depends on without using them.
    """

    key: str
    name: str
    earlier: tuple[str, ...] = ()
    component: str = ""
    value: int = 0
    fixed: int = 0
    secret: int = 0
    delete_first: str = ""
    uses: tuple[str, ...] = ()
    fixed_by: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def urn(self) -> str:
        """Its name in the state."""
        prefix = "test:index:Group$" if self.component else ""
        return f"urn:pulumi:dev::parity::{prefix}{_TYPE}::{self.name}"

    def called(self, **changes: str) -> Thing:
        """The same thing under another name or parent."""
        thing = replace(self, **changes)  # type: ignore[arg-type]
        urns = dict.fromkeys([*self.earlier, self.urn])
        return replace(thing, earlier=tuple(urn for urn in urns if urn != thing.urn))

    def __repr__(self) -> str:
        return f"{self.key} = Thing({_arguments(self)})"


@dataclass(frozen=True, repr=False)
class Program:
    """A program.

    Attributes:
        components: What it registers first.
        things: What it registers then, in this order; each may refer to those before it.
        removed: What earlier programs had.
        number: The last number that was used.
    """

    components: tuple[Component, ...] = ()
    things: tuple[Thing, ...] = ()
    removed: tuple[Thing, ...] = ()
    number: int = 0

    def __repr__(self) -> str:
        return "\n".join(f"    {part!r}" for part in (*self.components, *self.things))


Edit: TypeAlias = Callable[[Program, Random], Program]
NOTHING = Program()


def first_program(random: Random) -> Program:
    """A program to begin with."""
    program = NOTHING
    for add, most in ((_add_component, 3), (_add_thing, 9)):
        for _ in range(random.randint(most // 2, most)):
            program = add(program, random)
    return _tidied(program)


def edited(program: Program, random: Random) -> Program:
    """The program after random edits."""
    for _ in range(random.choice([1, 2, 4, 8])):
        edit = random.choice(_EDITS)
        if program.things or edit in (_add_component, _add_thing, _restore):
            program = _tidied(edit(program, random))
    return program


def _add_component(program: Program, _: Random) -> Program:
    number = program.number + 1
    name = f"g{number}"
    return replace(program, components=(*program.components, Component(name, name)), number=number)


def _add_thing(program: Program, random: Random) -> Program:
    number = program.number + 1
    index = random.randint(0, len(program.things))
    thing = Thing(
        f"t{number}",
        f"t{number}",
        component=_some_component(program, random),
        value=number,
        fixed=number,
        secret=number * random.randint(0, 1),
        delete_first=random.choice(["", "", "provider", "option"]),
        uses=_some_before(program, index, random),
        fixed_by=_some_before(program, index, random),
        after=_some_before(program, index, random, components=True),
    )
    return replace(program, things=(*program.things[:index], thing, *program.things[index:]), number=number)


def _remove_thing(program: Program, random: Random) -> Program:
    return _without(program, {random.choice(program.things)})


def _remove_component(program: Program, random: Random) -> Program:
    key = _some_component(program, random)
    left = tuple(component for component in program.components if component.key != key)
    return _without(replace(program, components=left), {item for item in program.things if key == item.component != ""})


def _restore(program: Program, random: Random) -> Program:
    """Bring something back that was removed, and may be there still if its deletion failed."""
    if not program.removed:
        return program
    thing = random.choice(program.removed)
    index = random.randint(0, len(program.things))
    removed = tuple(item for item in program.removed if item is not thing)
    return replace(program, things=(*program.things[:index], thing, *program.things[index:]), removed=removed)


def _rename_component(program: Program, random: Random) -> Program:
    key, number = _some_component(program, random), program.number + 1
    components = tuple(
        replace(item, name=f"g{number}", earlier=(*item.earlier, item.name)) if item.key == key else item
        for item in program.components
    )
    return replace(program, components=components, number=number)


def _rename_thing(program: Program, random: Random) -> Program:
    number = program.number + 1
    return _changed(program, random, lambda thing: thing.called(name=f"t{number}"))


def _move_thing(program: Program, random: Random) -> Program:
    component = _some_component(program, random)
    return _changed(program, random, lambda thing: thing.called(component=component))


def _change_value(program: Program, random: Random) -> Program:
    return _changed(program, random, lambda thing: replace(thing, value=program.number + 1))


def _change_fixed(program: Program, random: Random) -> Program:
    return _changed(program, random, lambda thing: replace(thing, fixed=program.number + 1))


def _change_secret(program: Program, random: Random) -> Program:
    return _changed(program, random, lambda thing: replace(thing, secret=0 if thing.secret else program.number + 1))


def _change_order_of_deletion(program: Program, random: Random) -> Program:
    wish = random.choice(["", "provider", "option"])
    return _changed(program, random, lambda thing: replace(thing, delete_first=wish))


def _redirect(program: Program, random: Random) -> Program:
    """Let a thing refer to others than before."""
    index = random.randrange(len(program.things))
    which = random.choice(["uses", "fixed_by", "after"])
    keys = _some_before(program, index, random, components=which == "after")
    thing = replace(program.things[index], **{which: keys})  # type: ignore[arg-type]
    if which == "fixed_by":
        thing = replace(thing, fixed=program.number + 1)
    things = (*program.things[:index], thing, *program.things[index + 1 :])
    return replace(program, things=things, number=program.number + 1)


def _turn_round(program: Program, random: Random) -> Program:
    """Let a thing refer to one that came later, and may have referred to it."""
    low, high = sorted(random.randrange(len(program.things)) for _ in range(2))
    if low == high:
        return program
    things = list(program.things)
    later = things.pop(high)
    which = random.choice(["uses", "after"])
    keys = dict.fromkeys([*getattr(things[low], which), later.key])
    things[low] = replace(things[low], **{which: tuple(keys)})  # type: ignore[arg-type]
    things.insert(low, later)
    return replace(program, things=tuple(things))


_EDITS: tuple[Edit, ...] = (
    _add_component,
    _add_thing,
    _remove_thing,
    _remove_component,
    _restore,
    _rename_component,
    _rename_thing,
    _rename_thing,
    _move_thing,
    _change_value,
    _change_fixed,
    _change_fixed,
    _change_secret,
    _change_order_of_deletion,
    _redirect,
    _turn_round,
)


def _changed(program: Program, random: Random, change: Callable[[Thing], Thing]) -> Program:
    """The program with one thing changed, and one number used."""
    index = random.randrange(len(program.things))
    things = (*program.things[:index], change(program.things[index]), *program.things[index + 1 :])
    return replace(program, things=things, number=program.number + 1)


def _without(program: Program, gone: set[Thing]) -> Program:
    left = tuple(thing for thing in program.things if thing not in gone)
    removed = tuple(thing for thing in program.things if thing in gone)
    return replace(program, things=left, removed=(*program.removed, *removed))


def _tidied(program: Program) -> Program:
    """The program without references to what isn't there, or isn't there yet."""
    components = {component.key for component in program.components}
    number = program.number
    things: list[Thing] = []
    for index, thing in enumerate(program.things):
        known = {item.key for item in things}
        whole = components - {item.component for item in program.things[index:]}
        if thing.component not in {*components, ""}:
            thing = thing.called(component="")
        fixed_by = _only(thing.fixed_by, known)
        if fixed_by != thing.fixed_by:
            number += 1
            thing = replace(thing, fixed_by=fixed_by, fixed=number)
        things.append(replace(thing, uses=_only(thing.uses, known), after=_only(thing.after, known | whole)))
    return replace(program, things=tuple(things), number=number)


def _only(keys: Iterable[str], known: set[str]) -> tuple[str, ...]:
    return tuple(key for key in keys if key in known)


def _some_component(program: Program, random: Random) -> str:
    return random.choice(["", *(component.key for component in program.components)])


def _some_before(program: Program, index: int, random: Random, *, components: bool = False) -> tuple[str, ...]:
    """Up to two of what may be referred to from this place."""
    keys = [thing.key for thing in program.things[:index]]
    if components:
        used = {thing.component for thing in program.things[index:]}
        keys += [component.key for component in program.components if component.key not in used]
    return tuple(random.sample(keys, min(len(keys), random.choice([0, 0, 1, 2]))))


def _arguments(part: Component | Thing) -> str:
    """What is worth reading of a part."""
    given = [(item.name, getattr(part, item.name)) for item in fields(part) if item.name not in ("key", "name")]
    return ", ".join([repr(part.name), *(f"{name}={value!r}" for name, value in given if value)])
