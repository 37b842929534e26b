"""A delete that fails: what it needs stays, and the next run tries again."""

from recorder import Options, Thing, stage

if stage < 3:
    base = Thing("base", value=1)
    Thing("top", Options(depends_on=[base]), value=1, fail=["delete"] if stage == 1 else [])
