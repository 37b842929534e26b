"""What refresh sees after the world changed behind the engine's back."""

import pulumi
from recorder import Options, Thing

a = Thing("changes", value=1)
b = Thing("vanishes", value=1)
Thing("child", Options(depends_on=[b]), value=b.made)
pulumi.export("a", a.made)
