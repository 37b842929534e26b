"""What goes on, and what doesn't, when something fails and the rest is to continue."""

import pulumi
from recorder import Group, Options, Thing, stage

bad = Thing("bad", value=1, fail=["create"] if stage == 1 else [])
Thing("needs-bad", value=bad.made)
Thing("also-needs-bad", Options(depends_on=[bad]), value=1)
good = Thing("good", value=stage)
group = Group("group", Options(depends_on=[bad]))
Thing("in-group", Options(parent=group), value=1)
if stage == 1:
    Thing("later-gone", value=good.made)
pulumi.export("good", good.made)
pulumi.export("bad", bad.made)
