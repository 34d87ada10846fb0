"""The requests of a probe, as values: the class's templates over one Connector -> what is sent where. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from connectors.credentials.credential import CredentialError
from connectors.credentials.scheme import field_value
from connectors.dial.upstream_proxy import DIRECT, Egress, UnknownProxyError, UpstreamProxies
from connectors.expressions.check import Check, compile_check
from connectors.expressions.template import Rendering, Subject, TemplateError, compile_template
from connectors.http.message import TARGET
from connectors.objects.addresses import DEFAULT_PORTS, Address, AddressError, parse_address
from connectors.objects.conditions import ConditionStatus
from connectors.objects.connector import UPSTREAM_PROXY_ANNOTATION, ConnectorKey
from connectors.objects.connector_class import ApiProbe, ConnectorClass, HttpProbe
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.pool import SYSTEM_TRUST, Trust
from controller.destination import Behind, Platform, Unusable, api_destination
from controller.probes.outcome import ProbeOutcome, Purpose, failed

# Bytes. Servers take request lines of 8 KiB (RFC 9112 section 3 asks for 8,000 octets).
MAX_TARGET = 8190

_NOTHING_TO_PROBE: Mapping[Purpose, ConditionReason] = {
    Purpose.LIVENESS: ConditionReason.NON_LIVENESS_PROBE,
    Purpose.AUTH: ConditionReason.NON_AUTH_PROBE,
}
EMPTY_PATH = "the class's path is empty for this Connector"
SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class ProbeField:
    """A field to send. `from_secret`: whether its value was made of the Secret (threat 25)."""

    name: str
    value: SecretValue
    from_secret: bool = False


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One HTTP request. `address` says where it goes (its path is not used), `target` is path and query, in ASCII.

    `trust`: whose certificates are believed, also behind a redirect. `certificate`: what is shown there if asked for.
    `connector`: whose probe it is, None of a class's. `egress`: how it leaves, also behind a redirect.
    """

    method: str
    address: Address
    target: SecretValue
    headers: tuple[ProbeField, ...] = ()
    target_from_secret: bool = False
    trust: Trust = SYSTEM_TRUST
    certificate: KeyPair | None = None
    connector: ConnectorKey | None = None
    egress: Egress = DIRECT

    @property
    def namespace(self) -> str:
        """Of the Connector, "" of a class."""
        return self.connector.namespace if self.connector else ""

    @property
    def holds_secret(self) -> bool:
        """Whether anything in it was made of the Secret."""
        return self.target_from_secret or any(header.from_secret for header in self.headers)

    @property
    def authenticates(self) -> bool:
        """Whether the tool can tell by it whose it is: by what was made of the Secret, or by the certificate."""
        return self.holds_secret or self.certificate is not None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what its answer has to be: one that `check` holds for, else one of the statuses `success`."""

    purpose: Purpose
    request: ProbeRequest
    success: range = SUCCESS
    check: Check | None = None
    follow: bool = True


def http_ask(
    probe: HttpProbe, purpose: Purpose, subject: Subject, addresses: Mapping[str, Address]
) -> Ask | ProbeOutcome:
    """The request of an http probe, or what is to be said without one. `addresses` are the Connector's, "" its own.

    What is made of the Secret goes to no origin but these (threat 25).
    """
    try:
        target = rendered_path(probe.path, subject)
        if target is None:
            return nothing_to_probe(purpose, EMPTY_PATH)
        rendered = tuple(_header(item.name, item.value, subject) for item in probe.http_headers)
        stated = _address(probe, addresses[""])
    except TemplateError as error:
        return failed(ConditionReason.TEMPLATE_ERROR, str(error))
    # As the Connector writes it where it does: with a dot behind it or without, a host may be another server.
    declared = {item.origin: replace(item, path=b"") for item in (*addresses.values(), addresses[""])}
    address = declared.get(stated.origin, stated)
    request = ProbeRequest(probe.method.upper(), address, target.value, rendered, target.from_secret)
    # Before the empty ones go: that the Secret makes a field empty says something of it too, where there is one.
    if address.origin not in declared and request.holds_secret and subject.secret is not None:
        return failed(ConditionReason.ADDRESS_NOT_DECLARED, undeclared(_made_of_secret(request), request))
    request = replace(request, headers=tuple(header for header in rendered if header.value.reveal()))
    expression = probe.response.cel if probe.response else ""
    check = compile_check(expression) if expression else None
    return Ask(purpose, request, check=check, follow=not probe.disable_redirect)


def nothing_to_probe(purpose: Purpose, why: str) -> ProbeOutcome:
    """A class that has a probe, but none for this Connector: it has nothing against it."""
    return ProbeOutcome(ConditionStatus.TRUE, _NOTHING_TO_PROBE[purpose], f"{why}, so there is nothing to probe")


def rendered_path(source: str, subject: Subject) -> Rendering | None:
    """A path template as a request target, None if a template renders empty: then there is nothing to ask for.

    Raises:
        TemplateError: it cannot be rendered, or not to a path.
    """
    try:
        rendering = compile_template(source).render(subject)
    except TemplateError as error:
        raise TemplateError(f"path: {error}") from None
    text = rendering.value.reveal().strip(b" \t\r\n")
    if not text and "{{" in source:
        return None
    target = text if text.startswith(b"/") else b"/" + text
    if len(target) > MAX_TARGET or not TARGET.fullmatch(target):
        message = f"path: does not render to a path of at most {MAX_TARGET} visible ASCII characters; use urlquery"
        raise TemplateError(message)
    return Rendering(SecretValue(target), rendering.from_secret)


def _header(name: str, source: str, subject: Subject) -> ProbeField:
    """The field. One that renders empty is left out: so a class does without it if there is no Secret."""
    try:
        rendering = compile_template(source).render(subject)
        value = field_value(rendering.value.reveal(), "what it renders to")
        value.decode()
    except (TemplateError, CredentialError) as error:
        raise TemplateError(f"header {name}: {error}") from None
    except UnicodeDecodeError:
        raise TemplateError(f"header {name}: what it renders to is not UTF-8; encode it, with b64enc for one") from None
    return ProbeField(name, SecretValue(value), rendering.from_secret)


def _address(probe: HttpProbe, own: Address) -> Address:
    """Where it goes: the Connector's origin, but for what the class says otherwise (docs/probes.md).

    Without a scheme the Connector's counts where the host is the Connector's, else http.

    Raises:
        TemplateError: the class's host is not one.
    """
    if not probe.host:
        return _with_scheme(own, probe.scheme or own.scheme)
    try:
        stated = parse_address(f"{probe.scheme or 'http'}://{probe.host}")
    except AddressError as error:
        raise TemplateError(f"host {error}") from None
    if stated.server_name != own.server_name:
        return stated
    # The same host: what the class leaves out is the Connector's. A port in the text makes two of its colon.
    has_port = ":" in probe.host.rpartition("]")[2]
    address = _with_scheme(own, probe.scheme or own.scheme)
    return Address(address.scheme, own.host, stated.port, b"") if has_port else address


def _with_scheme(own: Address, scheme: str) -> Address:
    """The same host; its port too, unless that was the other scheme's own."""
    is_default = own.port == DEFAULT_PORTS[own.scheme]
    return Address(scheme, own.host, DEFAULT_PORTS[scheme] if is_default else own.port, b"")


def _made_of_secret(request: ProbeRequest) -> str:
    names = [f"header {header.name}" for header in request.headers if header.from_secret]
    return ", ".join([*names, *(["the path"] if request.target_from_secret else [])])


def undeclared(what: str, request: ProbeRequest) -> str:
    """Why nothing was sent: `what` goes to addresses of the Connector alone (threat 25)."""
    return (
        f"{what}: made of the Secret, and {origin_of(request.address)} is not an address that the Connector declares, "
        "so nothing was sent; declare it under spec.addressExtensions, or correct the class's probe"
    )


def origin_of(address: Address) -> str:
    """Scheme, host and port for people."""
    return f"{address.scheme}://{address.authority.decode('ascii')}"


OK = range(200, 201)
# Whether it can be reached is all that APIReady asks.
ANY_STATUS = range(100, 600)


def api_ask(probe: ApiProbe, purpose: Purpose, subject: Subject, platform: Platform | None) -> Ask | ProbeOutcome:
    """The request of an api probe, or what is to be said without one. `platform` None: there are no Services.

    The API is told which tool and which type of Secret it is about, and never the Secret: its address is the class's
    word, and what is made of a Secret goes to addresses of the Connector alone (threat 25).
    """
    if subject.connector is None or subject.connector_class is None:
        raise ValueError("an api probe is of a Connector and its class")
    base = api_address(subject.connector_class, platform)
    if base is None:
        return nothing_to_probe(purpose, "the class's spec.api leads nowhere")
    if isinstance(base, ProbeOutcome):
        return base
    try:
        path = rendered_path(probe.path, subject)
    except TemplateError as error:
        return failed(ConditionReason.TEMPLATE_ERROR, str(error))
    if path is None:
        return nothing_to_probe(purpose, EMPTY_PATH)
    if path.from_secret:
        message = "path: made of the Secret, and the class's API is not an address that the Connector declares"
        return failed(ConditionReason.ADDRESS_NOT_DECLARED, message)
    about = {"X-Plugin-Meta": msgspec.json.encode({"baseURL": subject.connector.spec.address})}
    if subject.secret is not None:
        about["X-Plugin-Auth"] = subject.secret.type.encode()
    headers = tuple(ProbeField(name, SecretValue(b64encode(value))) for name, value in about.items())
    target = SecretValue(base.prefix + path.value.reveal())
    return Ask(purpose, ProbeRequest("GET", base, target, headers), success=OK)


def class_ask(
    connector_class: ConnectorClass, platform: Platform | None, trust: Trust, proxies: UpstreamProxies | None = None
) -> Ask | ProbeOutcome | None:
    """The request that tells whether a class's API can be reached; None if it has none. `proxies`: see Wanted."""
    base = api_address(connector_class, platform)
    if base is None or isinstance(base, ProbeOutcome):
        return base
    try:
        choice = connector_class.metadata.annotations.get(UPSTREAM_PROXY_ANNOTATION)
        egress = proxies.chosen(choice) if proxies else DIRECT
    except UnknownProxyError as error:
        return failed(ConditionReason.CONNECTOR_CLASS_INVALID, f"annotation {UPSTREAM_PROXY_ANNOTATION} {error}")
    request = ProbeRequest("GET", base, SecretValue(base.prefix or b"/"), trust=trust, egress=egress)
    return Ask(Purpose.API, request, success=ANY_STATUS, follow=False)


def api_address(connector_class: ConnectorClass, platform: Platform | None) -> Address | ProbeOutcome | None:
    """Where a class's API is: None if the class names none, a ProbeOutcome if that cannot be told."""
    spec = connector_class.spec.api
    destination = api_destination(spec, platform or Platform()) if spec else None
    if destination is None:
        return None
    if isinstance(destination, Unusable):
        return failed(ConditionReason.CONNECTOR_CLASS_INVALID, f"the class's spec.api: {destination.message}")
    if isinstance(destination, Behind) and platform is None:
        message = "the class's API is behind a Service, and there is no cluster here to ask for it"
        return ProbeOutcome(ConditionStatus.UNKNOWN, ConditionReason.API_SERVICE_NOT_FOUND, message)
    try:
        return parse_address(destination.url)
    except AddressError as error:
        return failed(ConditionReason.CONNECTOR_CLASS_INVALID, f"the class's spec.api {error}")


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a probe, and the status of its answer; None if there was none."""

    request: ProbeRequest
    status: int | None = None


@dataclass(slots=True)
class Report:
    """A probe as it went. `ask` is None if there was nothing to ask for."""

    ask: Ask | None
    outcome: ProbeOutcome
    hops: list[Hop] = field(default_factory=list)
