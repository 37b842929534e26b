"""Finds the rules: every module of ``policies/rules/<area>/`` holds one, called ``RULE``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import policies.rules
from policies.rule import Rule


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of their ids."""
    areas = pkgutil.walk_packages(policies.rules.__path__, "policies.rules.")
    found = [importlib.import_module(module.name).RULE for module in areas if not module.ispkg]
    return tuple(sorted(found, key=lambda rule: _order(rule.id)))


def _order(rule: str) -> tuple[str, int]:
    return rule[0], int(rule[1:])
