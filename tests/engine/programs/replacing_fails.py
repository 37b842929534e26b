"""Replacements that fail half-way: the old resource is kept, or is gone and the next run makes the new one."""

from recorder import Options, Thing, stage

fail = ["create"] if stage == 2 else []
first = Thing("gone-first", Options(delete_before_replace=True), fixed=min(stage, 2), fail=fail, label=f"gone-{stage}")
Thing("made-first", Options(depends_on=[first]), fixed=min(stage, 2), fail=fail, label=f"made-{min(stage, 2)}")
