"""Which hosts NO_PROXY covers: the tables of golang.org/x/net/http/httpproxy, and what is particular here."""

from __future__ import annotations

import pytest

from connectors.process.no_proxy import NoProxy

# As in Go's own test: every host is asked about with port 80.
RULES = (
    "foobar.com, .barbaz.net, *.quux.com, 192.168.1.1, 192.168.1.81, 192.168.1.3:80, 10.0.0.0/30, 2001:db8::52:0:1, "
    "[2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64"
)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("example.com", False),
        ("192.168.1.1", True),
        ("192.168.1.2", False),
        ("192.168.1.3", True),
        ("192.168.1.4", False),
        ("10.0.0.2", True),
        ("10.0.0.4", False),
        ("2001:db8::52:0:1", True),
        ("2001:db8::52:0:2", False),
        ("2001:db8::52:0:3", True),
        ("2002:db8:a::123", True),
        ("fe80::424b:c8be:1643:a1b6", False),
        ("barbaz.net", False),
        ("www.barbaz.net", True),
        ("foobar.com", True),
        ("www.foobar.com", True),
        ("foofoobar.com", False),
        ("baz.com", False),
        ("localhost.net", False),
        ("local.localhost", False),
        ("barbarbaz.net", False),
        ("quux.com", False),
        ("www.quux.com", True),
    ],
)
def test_as_go_reads_it(host: str, covered: bool) -> None:
    assert NoProxy.parse(RULES).covers(host, 80) is covered


@pytest.mark.parametrize(
    ("rules", "host", "port", "covered"),
    [
        ("", "example.com", 443, False),
        ("", "localhost", 443, True),
        (" , ,", "example.com", 443, False),
        ("*", "example.com", 443, True),
        ("*", "10.0.0.1", 443, True),
        ("other.com,*", "10.0.0.1", 443, True),
        ("EXAMPLE.com", "Example.COM", 443, True),
        ("example.com", "example.com.", 443, True),
        ("example.com:443", "example.com", 443, True),
        ("example.com:443", "example.com", 8443, False),
        ("example.com:443", "a.example.com", 443, True),
        (".example.com:443", "a.example.com", 80, False),
        ("*.example.com:443", "a.example.com", 443, True),
        ("*example.com", "example.com", 443, False),
        ("10.0.0.5/8", "10.1.2.3", 443, True),
        ("10.0.0.0/255.0.0.0", "10.1.2.3", 443, False),
        ("10.0.0.0/33", "10.0.0.0", 443, False),
        ("0.0.0.0/0", "192.0.2.1", 443, True),
        ("0.0.0.0/0", "2001:db8::1", 443, False),
        ("::/0", "2001:db8::1", 443, True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 443, True),
        ("::ffff:10.0.0.0/104", "10.1.2.3", 443, True),
        ("::ffff:10.1.2.3", "10.1.2.3", 443, True),
        ("[2001:db8::1]", "2001:db8::1", 443, True),
        ("2001:DB8:0::1", "2001:db8::1", 443, True),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        (":443", "example.com", 443, False),
        (".", "example.com", 443, False),
        # CVE-2025-22870: a zone is no part of a name.
        (".example.com", "fe80::1%25.example.com", 443, False),
        # A range is about addresses: no name is looked up to be judged by one.
        ("0.0.0.0/0,::/0", "example.com", 443, False),
        ("1.2.3.4", "x.1.2.3.4", 443, False),
    ],
)
def test_rules(rules: str, host: str, port: int, covered: bool) -> None:
    assert NoProxy.parse(rules).covers(host, port) is covered
