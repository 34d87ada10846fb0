from __future__ import annotations

import datetime

import trustme
from prometheus_client import CollectorRegistry

from connectors.objects.secret import Secret
from connectors.trust import Authorities
from controller.authorities import AuthorityMetrics, AuthorityReporter, problem_of
from controller.conditions import Happening
from controller.events import Regarding
from tests.builders import authorities, ca_secret
from tests.peers.trust import pem

CA = trustme.CA()
GOOD = pem(CA).encode()
JUNK = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
BAD = 'Secret "ca" contains invalid PEM data: ca.crt: certificate 1 is not X.509'
NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def found(*secrets: Secret) -> Authorities:
    return authorities(*secrets)


class Reports:
    """What is recorded, and about which Secret."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, str]] = []
        self.reporter = AuthorityReporter(self._record)

    def _record(self, regarding: Regarding, happening: Happening) -> None:
        assert (regarding.kind, regarding.namespace) == ("Secret", "connectors-system")
        self.told.append((regarding.name, happening.type.value, happening.reason, happening.message))


def test_a_broken_secret_is_told_of_once_and_again_when_it_breaks_again() -> None:
    reports = Reports()
    for _ in range(3):
        reports.reporter.follow(found(ca_secret(JUNK)))
    assert reports.told == [("ca", "Warning", "InvalidCACert", BAD)]
    reports.reporter.follow(found(ca_secret(GOOD)))
    assert len(reports.told) == 1
    reports.reporter.follow(found(ca_secret(JUNK)))
    assert len(reports.told) == 2


def test_another_problem_or_another_secret_of_that_name_is_news() -> None:
    reports = Reports()
    reports.reporter.follow(found(ca_secret(JUNK)))
    reports.reporter.follow(found(ca_secret(b"nothing")))
    reports.reporter.follow(found(ca_secret(b"nothing", uid="2")))
    reports.reporter.follow(found(ca_secret(b"nothing", uid="2"), ca_secret(JUNK, "other")))
    assert [name for name, *_ in reports.told] == ["ca", "ca", "ca", "other"]


def test_who_leads_again_tells_again() -> None:
    reports = Reports()
    reports.reporter.follow(found(ca_secret(JUNK)))
    reports.reporter.clear()
    reports.reporter.follow(found(ca_secret(JUNK)))
    assert len(reports.told) == 2


def test_what_is_wrong_with_one() -> None:
    def problem(value: bytes) -> str:
        return problem_of(found(ca_secret(value)).for_all[0])

    assert problem(GOOD) == ""
    assert problem(JUNK) == BAD
    assert problem(GOOD + JUNK) == (
        'Secret "ca" holds more than CA certificates, left out: ca.crt: certificate 2 is not X.509'
    )


def test_how_many_certificates_there_are() -> None:
    past = datetime.datetime(2029, 12, 31, tzinfo=datetime.UTC)
    old = CA.issue_cert("a", not_before=past - datetime.timedelta(days=9), not_after=past).cert_chain_pems[0].bytes()
    own = ca_secret(GOOD, "own", namespace="team")
    current = [authorities(ca_secret(old + GOOD + JUNK + JUNK), own=(own,))]
    registry = CollectorRegistry()
    AuthorityMetrics(registry, lambda: current[0], lambda: NOW)

    def value(source: str, state: str) -> float | None:
        labels = {"source": source, "state": state}
        return registry.get_sample_value("connectors_controller_ca_certificates", labels)

    assert [value("global", state) for state in ("valid", "expired", "invalid")] == [1, 1, 2]
    assert [value("connector", state) for state in ("valid", "expired", "invalid")] == [1, 0, 0]
    current[0] = Authorities()
    assert value("global", "valid") is None
