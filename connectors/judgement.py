"""A Connector's Judgement: what its status, its probes and `connectors validate` read of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.credentials.credential import ANONYMOUS, Credential, CredentialError
from connectors.dial.upstream_proxy import DIRECT, Egress
from connectors.objects.addresses import Address
from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.secret import Secret
from connectors.objects.violation import Violation, errors
from connectors.rules.examination import Examined
from connectors.tls.pool import SYSTEM_TRUST, Trust
from connectors.trust import OwnAuthority


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A Connector and what status tells of it. Equal only if the same instance: another one is news.

    `fatal` are those of the violations that keep it from being used. `secret_problem` is why its Secret cannot serve,
    None if it can or none is asked for; `secret_note` what a person should know of one that can; `not_injected` why
    nothing injects one that is as it should be; `unread` is set if it is not known yet whether there is such a Secret,
    and is then the problem's message. `addresses` is keyed by extension name; "" is spec.address. `trust` is whose
    certificates are believed; `authority` what spec.caCertSecretRef leads to, None if custom CAs are off. `egress`:
    how its requests leave, its probes' too.
    """

    connector: Connector
    connector_class: ConnectorClass | None
    secret: Secret | None = None
    violations: tuple[Violation, ...] = ()
    addresses: Mapping[str, Address] = field(default_factory=dict)
    credential: Credential = ANONYMOUS
    secret_problem: CredentialError | None = None
    unread: str = ""
    trust: Trust = SYSTEM_TRUST
    authority: OwnAuthority | None = None
    secret_note: str = ""
    not_injected: str = ""
    egress: Egress = DIRECT
    fatal: tuple[Violation, ...] = field(init=False)

    def __post_init__(self) -> None:
        # Each reconcile asks for them several times, and they change only with the Judgement. Frozen: hence the setter.
        object.__setattr__(self, "fatal", errors(self.violations))


def judgement_of(examined: Examined) -> Judgement:
    """The Judgement of what was examined."""
    inputs = examined.inputs
    return Judgement(
        inputs.connector,
        inputs.connector_class,
        inputs.secret,
        examined.violations,
        examined.addresses,
        examined.credential,
        examined.secret_problem,
        examined.unread,
        inputs.trust,
        inputs.authority,
        examined.secret_note,
        examined.not_injected,
        examined.egress,
    )
