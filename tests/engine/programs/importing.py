"""An import of a dynamic resource, which no engine can do, since its provider stands in its own inputs."""

from recorder import Options, Thing, stage

first = Thing("first", value=1)
Thing("imported", Options(depends_on=[first], import_="there" if stage == 1 else None), value=1)
