"""What slots give each other and people, and what keeps its secrets on the way."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from components.base import Component, Inputs, SlotOutputs
from components.gateway import GatewayOutputs
from components.tracking import TrackingOutputs
from terrace.certificates import _authority, _AuthorityProvider
from terrace.notify import Notify
from terrace.password import _PasswordProvider
from terrace.platform import Platform
from terrace.spec import Network, SecretReference
from terrace.targets.host import HostTarget
from tests.components.recording import blueprint, plan

INDEX = "https://ann:hush-hush@index.example.org/simple"


@pytest.fixture
def encrypted_index() -> Iterator[None]:
    """The configuration as an engine hands it to the program: decrypted, its key marked."""
    spec = json.dumps({"network": {"package_index": INDEX}})
    pulumi.runtime.set_all_config({"terrace:platform": spec}, ["terrace:platform"])
    yield
    pulumi.runtime.set_all_config({}, [])


def test_every_slot_keeps_its_contract(tmp_path: Path) -> None:
    built: dict[str, SlotOutputs] = {}

    plan(blueprint(5, tmp_path), lambda platform: built.update(platform._slots))

    assert len(built) >= 11
    for slot, outputs in built.items():
        assert type(outputs).__module__ == f"components.{slot}", slot
        assert [field.name for field in fields(outputs) if getattr(outputs, field.name) is None] == [], slot


def test_people_and_projects_get_addresses_accounts_and_variables(tmp_path: Path) -> None:
    shown: dict[str, Any] = {}

    def look(platform: Platform) -> pulumi.Output[Any]:
        parts = {name: getattr(platform, name) for name in ("endpoints", "connection", "credentials", "services")}
        return pulumi.Output.from_input(parts).apply(shown.update)

    plan(blueprint(3, tmp_path), look)

    assert all(address.startswith("https://127.0.0.1:8443/") for address in shown["endpoints"].values())
    assert shown["endpoints"].keys() >= {"gateway", "tracking", "registry", "serving", "pipelines", "feature_store"}
    assert shown["credentials"].keys() == {"gateway", "tracking", "pipelines", "backup", "audit"}
    assert shown["credentials"]["tracking"] == {"user": "admin", "password": "[mlflow-admin]"}
    variables = ("MLFLOW_TRACKING_URI", "SERVING_URL", "PIPELINES_URL", "FEATURE_STORE_PASSWORD", "TERRACE_CA_FILE")
    assert shown["connection"].keys() >= set(variables)
    assert all(value and isinstance(value, str) for value in shown["connection"].values())
    assert {service["slot"] for service in shown["services"]} >= {"database", "gateway", "monitoring", "tracking"}


def test_connection_credentials_and_inventory_are_secrets(tmp_path: Path) -> None:
    secret: dict[str, bool] = {}

    async def ask(platform: Platform) -> None:
        shown = {"connection": platform.connection, "credentials": platform.credentials, **platform.targets.exports()}
        for name, output in shown.items():
            secret[name] = await pulumi.Output.from_input(output).is_secret()

    plan(blueprint(3, tmp_path), ask)

    assert secret == {"connection": True, "credentials": True, "inventory": True}


@pytest.mark.usefixtures("encrypted_index")
def test_an_encrypted_package_index_reaches_what_downloads(tmp_path: Path) -> None:
    network = Network(package_index=SecretReference(secure="v1:YWJj:YWJj"), proxy="http://proxy:3128")
    wanted = blueprint(3, tmp_path)
    object.__setattr__(wanted, "spec", wanted.spec.model_copy(update={"network": network}))

    roles = [json.loads(r.inputs["variables"]) for r in plan(wanted) if r.type == "terrace:HostRole"]

    assert {role["terrace_package_index"] for role in roles} == {INDEX}
    assert {role["terrace_proxy"] for role in roles} == {"http://proxy:3128"}
    given = {role["service_name"]: role["service_secrets"] for role in roles if "service_secrets" in role}
    assert given["mlserver"].items() >= {"UV_DEFAULT_INDEX": INDEX, "HTTPS_PROXY": "http://proxy:3128"}.items()
    assert "UV_DEFAULT_INDEX" not in given["mlflow"]
    plain = [value for role in roles for value in role.get("service_environment", {}).values()]
    assert [value for value in plain if "hush" in value] == []


@pytest.fixture
def encrypted_receivers() -> Iterator[None]:
    """A configuration with the secrets of `notify`, decrypted."""
    spec = {"notify": {"email": {"password": "hush-mail"}, "webhook": {"token": "hush-hook"}}}
    pulumi.runtime.set_all_config({"terrace:platform": json.dumps(spec)}, ["terrace:platform"])
    yield
    pulumi.runtime.set_all_config({}, [])


@pytest.mark.usefixtures("encrypted_receivers")
def test_secrets_of_receivers_reach_files_of_their_own(tmp_path: Path) -> None:
    secret = {"secure": "v1:YWJj:YWJj"}
    email = {"host": "mail.example.org", "from": "a@b", "to": ["c@d"], "user": "terrace", "password": secret}
    notify = Notify.model_validate({"email": email, "webhook": {"url": "https://x.example.org", "token": secret}})
    wanted = blueprint(3, tmp_path)
    object.__setattr__(wanted, "spec", wanted.spec.model_copy(update={"notify": notify}))

    (role,) = [json.loads(r.inputs["variables"]) for r in plan(wanted) if r.name == "prometheus-service"]

    files = {file["path"]: file["content"] for file in role["service_files"]}
    assert (files.pop("email-password"), files.pop("webhook-token")) == ("hush-mail", "hush-hook")
    assert [path for path, content in files.items() if "hush" in content] == []


def test_a_component_refuses_a_target_that_it_does_not_support() -> None:
    component: Any = SimpleNamespace(token="terrace:a:One", target=SimpleNamespace(name="moon"))

    with pytest.raises(TypeError, match="terrace:a:One does not run on moon"):
        Component.on(component, HostTarget)


def test_outputs_of_another_contract_are_refused() -> None:
    inputs = Inputs({"gateway": SlotOutputs()})

    with pytest.raises(TypeError, match="gateway gives SlotOutputs, not GatewayOutputs"):
        inputs.of("gateway", GatewayOutputs)
    assert inputs.optional("tracking", TrackingOutputs) is None


@pytest.mark.parametrize("provider", [_PasswordProvider(), _AuthorityProvider()])
def test_what_is_made_once_is_kept_as_it_was_proposed(provider: Any) -> None:
    made = provider.create({"value": "proposed"})

    assert made.outs == {"value": "proposed"}
    assert provider.serialize_as_secret_always is False


def test_passwords_are_long_and_never_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    proposed: list[str] = []
    real = secrets.token_urlsafe
    monkeypatch.setattr("terrace.password.secrets.token_urlsafe", lambda n: proposed.append(real(n)) or proposed[-1])

    plan(blueprint(3, tmp_path))

    assert len(set(proposed)) == len(proposed) >= 8
    assert min(map(len, proposed)) >= 32


def test_the_authority_signs_certificates_and_nothing_below_it_does() -> None:
    certificate_text, key_text = _authority("Terrace local")

    certificate = x509.load_pem_x509_certificate(certificate_text.encode())
    key = serialization.load_pem_private_key(key_text.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(certificate)
    assert certificate.subject.rfc4514_string() == "CN=Terrace local"
    limits: Any = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    usage: Any = certificate.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert 3640 < (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 3651
