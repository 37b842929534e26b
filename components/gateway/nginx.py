"""nginx as the platform's one entrance.

Provides TLS with a certificate of the environment's own CA, basic authentication in front of every service that
has none, and an index of what is behind it. Leaves out single sign-on and certificates of a public CA.

Upstream: https://nginx.org/en/docs/, written for nginx 1.18 to 1.26 as Debian and Ubuntu ship them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.base import Account, Component, FlavorSpec, Inputs
from components.gateway import GatewayOutputs
from terrace.password import Password
from terrace.targets.base import Service
from terrace.targets.host import HostTarget

ACCOUNT = "terrace"


class NginxSpec(FlavorSpec):
    """Options of the entrance."""

    flavor: Literal["nginx"] = "nginx"
    address: str = Field("127.0.0.1", description="The IP address that it listens on.")
    port: int = Field(8443, ge=1024, le=65535, description="TCP port, HTTPS.")
    status_port: int = Field(15080, ge=1024, le=65535, description="TCP port of its own status, on loopback.")
    exporter_port: int = Field(15081, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")


class Nginx(Component[NginxSpec, GatewayOutputs]):
    """An nginx entrance."""

    token: ClassVar[str] = "terrace:gateway:Nginx"
    spec_type: ClassVar[type[FlavorSpec]] = NginxSpec
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: NginxSpec, inputs: Inputs) -> GatewayOutputs:
        """Run the entrance; services bring their routes themselves."""
        target = self.on(HostTarget)
        account = Account(ACCOUNT, Password("gateway-account", self).value)
        target.role(
            "gateway",
            "gateway",
            {
                "gateway_address": spec.address,
                "gateway_port": spec.port,
                "gateway_status_port": spec.status_port,
                "gateway_exporter_port": spec.exporter_port,
                "gateway_accounts": [{"name": account.user, "password": account.password}],
            },
            parent=self,
        )
        outputs = GatewayOutputs(spec.address, spec.port, target.ca_file, account, "gateway")
        target.services.append(
            Service("gateway", spec.flavor, "gateway", f"{outputs.url}/", f"{outputs.url}/healthz", spec.port)
        )
        return outputs
