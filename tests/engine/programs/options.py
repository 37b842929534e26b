"""Dependencies and timeouts as they are recorded."""

from pulumi import CustomTimeouts
from recorder import Options, Thing

a = Thing("a", Options(custom_timeouts=CustomTimeouts(create="2m", update="90s", delete="1h30m")), value=1)
b = Thing("b", value=1)
Thing("c", Options(depends_on=[a, b]), first=a.made, both=[a.made, b.made], none="x")
