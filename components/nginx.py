"""What the services that run nginx have in common."""

from __future__ import annotations

from terrace.workload import SetupStep


def reload_step(name: str) -> SetupStep:
    """Return the step that checks nginx's configuration, and has an nginx that runs take it."""
    check = "/usr/sbin/nginx -t -q -c $(CONFIG)/nginx.conf -e stderr"
    take = "if [ -s $(DATA)/nginx.pid ]; then kill -HUP `cat $(DATA)/nginx.pid` || true; fi"
    return SetupStep(name, ("/bin/sh", "-ec", f"{check}; {take}"), live=True)
