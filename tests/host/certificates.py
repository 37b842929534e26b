"""A certificate that has expired, as a platform would have it whose program that renews it couldn't run for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.host.fleet import become

# The platform's own program makes it, has nginx take it, and tells Prometheus of it: made an hour ago, and short-lived.
MAKE = """
import os, pathlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import certificates
certificates.__file__, certificates.VALID_DAYS = sys.argv[1] + "/certificates.py", -0.02
certificates.keep(pathlib.Path(os.environ["CERTIFICATE_FOLDER"]))
"""


def expire(run: Callable[..., Any], environment: str, service: str) -> None:
    """Stop what renews the certificate of ``service``, and put one in place that its authority signed, and has expired.

    Args:
        run: Runs a command on the service's host as root.
        environment: The environment.
        service: The service: the gateway, or a host's link.
    """
    configuration = f"/etc/terrace/{environment}/{service}"
    supervisor = f"/etc/terrace/{environment}/supervisor/supervisord.conf"
    run("supervisorctl", "-c", supervisor, "stop", f"terrace-{environment}-{service}-certificate")
    run("rm", f"/var/lib/terrace/{environment}/{service}/tls/server.crt")
    software = f"/opt/terrace/{environment}"
    program = (f"{software}/{service}/venv/bin/python", "-c", MAKE, configuration)
    user = become(f"terrace-{environment}-{service}")
    run(*user, f"{software}/launch.py", f"{configuration}/environment.json", "0", *program)
