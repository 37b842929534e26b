"""Replacements that the user asked for, and a refresh before the update."""

import pulumi
from recorder import Options, Thing, stage

a = Thing("changes", Options(delete_before_replace=True), value=1)
b = Thing("b", value=a.made, label=f"b-{stage}" if stage > 2 else "b")
c = Thing("c", fixed=b.made)
Thing("vanishes", Options(delete_before_replace=True), value=1)
pulumi.export("a", a.made)
