"""The requests to a class's own API, as values (upstream-facts, section 7: API probe; section 3: APIReady). Pure."""

from __future__ import annotations

from base64 import b64encode

import msgspec

from connectors.expressions.subject import Subject
from connectors.expressions.template import TemplateError
from connectors.model.addresses import Address, AddressError, parse_address
from connectors.model.conditions import ConditionStatus
from connectors.model.connector_class import ApiProbe, ConnectorClass
from connectors.model.reasons import ConditionReason
from connectors.model.secret_value import SecretValue
from connectors.tls.pool import Trust
from controller.destination import Behind, Platform, Unusable, api_destination
from controller.probes.outcome import Outcome, Purpose, failed
from controller.probes.request import EMPTY_PATH, Ask, ProbeHeader, ProbeRequest, nothing_to_probe, rendered_path

OK = range(200, 201)
ANY_STATUS = range(100, 600)
"""Whether it can be reached is all that APIReady asks."""


def api_ask(probe: ApiProbe, purpose: Purpose, subject: Subject, platform: Platform | None) -> Ask | Outcome:
    """The request of an api probe, or what is to be said without one. `platform` None: there are no Services.

    The API is told which tool and which type of Secret it is about, and never the Secret: its address is the class's
    word, and what is made of a Secret goes to addresses of the Connector alone (threat 25).
    """
    if subject.connector is None or subject.connector_class is None:
        raise ValueError("an api probe is of a Connector and its class")
    base = api_address(subject.connector_class, platform)
    if base is None:
        return nothing_to_probe(purpose, "the class's spec.api leads nowhere")
    if isinstance(base, Outcome):
        return base
    try:
        path = rendered_path(probe.path, subject)
    except TemplateError as error:
        return failed(ConditionReason.TEMPLATE_ERROR, str(error))
    if path is None:
        return nothing_to_probe(purpose, EMPTY_PATH)
    if path.from_secret:
        message = "path: made of the Secret, and the class's API is no address that the Connector declares"
        return failed(ConditionReason.ADDRESS_NOT_DECLARED, message)
    about = {"X-Plugin-Meta": msgspec.json.encode({"baseURL": subject.connector.spec.address})}
    if subject.secret is not None:
        about["X-Plugin-Auth"] = subject.secret.type.encode()
    headers = tuple(ProbeHeader(name, SecretValue(b64encode(value))) for name, value in about.items())
    target = SecretValue(base.prefix + path.value.reveal())
    return Ask(purpose, ProbeRequest("GET", base, target, headers), success=OK)


def class_ask(connector_class: ConnectorClass, platform: Platform | None, trust: Trust) -> Ask | Outcome | None:
    """The request that tells whether a class's API can be reached; None where it has none."""
    base = api_address(connector_class, platform)
    if base is None or isinstance(base, Outcome):
        return base
    request = ProbeRequest("GET", base, SecretValue(base.prefix or b"/"), trust=trust)
    return Ask(Purpose.API, request, success=ANY_STATUS, follow=False)


def api_address(connector_class: ConnectorClass, platform: Platform | None) -> Address | Outcome | None:
    """Where a class's API is: None where the class names none, an Outcome where nobody can tell."""
    spec = connector_class.spec.api
    destination = api_destination(spec, platform or Platform()) if spec else None
    if destination is None:
        return None
    if isinstance(destination, Unusable):
        return failed(ConditionReason.CONNECTOR_CLASS_INVALID, f"the class's spec.api: {destination.message}")
    if isinstance(destination, Behind) and platform is None:
        message = "the class's API is behind a Service, and there is no cluster here to ask for it"
        return Outcome(ConditionStatus.UNKNOWN, ConditionReason.API_SERVICE_NOT_FOUND, message)
    try:
        return parse_address(destination.url)
    except AddressError as error:
        return failed(ConditionReason.CONNECTOR_CLASS_INVALID, f"the class's spec.api {error}")
