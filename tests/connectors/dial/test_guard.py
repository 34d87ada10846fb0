from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dial.guard import _MAX_KNOWN, DialGuard, Networks, is_public, parse_networks

STANDARD = DialGuard()


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        # Where tools live.
        ("192.0.2.1", None),
        ("10.0.0.1", None),
        ("172.16.0.1", None),
        ("192.168.1.1", None),
        ("100.64.0.1", None),
        ("fd00::1", None),
        ("2001:db8::1", None),
        ("::ffff:10.0.0.1", None),
        ("64:ff9b::10.0.0.1", None),
        ("64:ff9b:1::10.0.0.1", None),
        ("2002:a00:1::1", None),
        # Beside what is denied.
        ("126.255.255.255", None),
        ("128.0.0.0", None),
        ("1.0.0.0", None),
        ("169.253.255.255", None),
        ("169.255.0.0", None),
        ("223.255.255.255", None),
        ("255.255.255.254", None),
        ("::2:0:0", None),
        ("fec0::", None),
        ("100.100.100.201", None),
        # Denied.
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("::1", "loopback"),
        ("169.254.0.0", "link-local"),
        ("169.254.169.254", "link-local"),
        ("169.254.255.255", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("febf:ffff::", "link-local"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("fd00:ec2::23", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fd00:42::42", "metadata"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - an address that is refused
        ("0.255.255.255", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        # The same as IPv6 addresses.
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:7f00:1%lo", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("::2", "unspecified"),  # 0.0.0.2
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::ffff:168.63.129.16", "metadata"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("64:ff9b:1::169.254.169.254", "link-local"),
        ("64:ff9b:1:a9fe:a9:fe00::", "link-local"),  # behind 48 bits
        ("64:ff9b:1:fa9:fe:a9fe::", "link-local"),  # behind 56 bits
        ("64:ff9b:1:f:a9:fea9:fe00:0", "link-local"),  # behind 64 bits
        ("2002:a9fe:a9fe::1", "link-local"),
        ("2002:7f00:1::", "loopback"),
        # No address.
        ("localhost", "not an IP address"),
        ("", "not an IP address"),
        ("127.1", "not an IP address"),
        ("0x7f.0.0.1", "not an IP address"),
    ],
)
def test_t09_what_is_denied_by_default(ip: str, name: str | None) -> None:
    assert STANDARD.denied(ip) == name


@pytest.mark.parametrize(
    ("allow", "deny", "ip", "name"),
    [
        ("127.0.0.0/8", "", "127.0.0.1", None),
        ("127.0.0.0/8", "", "::ffff:127.0.0.1", None),
        ("127.0.0.0/8", "", "::1", "loopback"),
        ("169.254.169.254", "", "169.254.169.254", None),
        ("169.254.169.254", "", "169.254.169.253", "link-local"),
        ("127.0.0.0/8", "127.0.0.1", "127.0.0.1", "by --deny-upstream"),
        ("127.0.0.0/8", "127.0.0.1", "127.0.0.2", None),
        ("", "10.0.0.0/8", "10.9.8.7", "by --deny-upstream"),
        ("", "10.0.0.0/8", "64:ff9b::10.9.8.7", "by --deny-upstream"),
        ("", "10.0.0.0/8", "2002:a09:807::", "by --deny-upstream"),
        ("64:ff9b::/96", "", "64:ff9b::127.0.0.1", "loopback"),
        ("", "::/0", "2001:db8::1", "by --deny-upstream"),
        ("", "::/0", "192.0.2.1", None),
        ("", "fe80::/10", "fe80::1%eth0", "by --deny-upstream"),
    ],
)
def test_lists_go_before_defaults_and_deny_before_allow(allow: str, deny: str, ip: str, name: str | None) -> None:
    assert DialGuard(parse_networks(allow), parse_networks(deny)).denied(ip) == name


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_alone_is_lifted(ip: str) -> None:
    guard = DialGuard(loopback=True)
    assert guard.denied(ip) is None
    assert guard.denied("0.0.0.0") == "unspecified"  # noqa: S104 - an address that is refused
    assert guard.denied("169.254.169.254") == "link-local"
    assert DialGuard(deny=parse_networks("127.0.0.1,::1"), loopback=True).denied(ip) == "by --deny-upstream"


def test_verdicts_are_remembered_within_bounds() -> None:
    guard = DialGuard(deny=parse_networks("192.0.2.0/24"))
    for number in range(_MAX_KNOWN + 10):
        assert guard.denied(str(IPv4Address(0x0A000000 + number))) is None
    assert len(guard._known) <= _MAX_KNOWN
    for _ in range(2):
        assert guard.denied("192.0.2.1") == "by --deny-upstream"
        assert guard.denied("no address") == "not an IP address"
    assert guard == DialGuard(deny=parse_networks("192.0.2.0/24")), "what it remembers is no part of it"
    assert DialGuard(allow=parse_networks("169.254.1.1")).denied("169.254.1.1") is None
    assert guard.denied("169.254.1.1") == "link-local"


def embedded(base: str, shift: int) -> Callable[[IPv4Address], str]:
    return lambda inner: str(IPv6Address(int(IPv6Address(base)) | int(inner) << shift))


FORMS = {
    "mapped": embedded("::ffff:0:0", 0),
    "translated": embedded("::ffff:0:0:0", 0),
    "compatible": embedded("::", 0),
    "nat64": embedded("64:ff9b::", 0),
    "local nat64": embedded("64:ff9b:1::", 0),
    "6to4": embedded("2002::", 80),
}
ADDRESSES = st.ip_addresses(v=4) | st.sampled_from(
    [IPv4Address(ip) for ip in ("127.0.0.1", "169.254.169.254", "168.63.129.16", "0.0.0.9", "224.0.0.1", "10.0.0.1")]
)
NETWORKS: st.SearchStrategy[Networks] = st.lists(
    st.builds(lambda ip, length: ip_network((ip, length), strict=False), ADDRESSES, st.integers(0, 32))
    | st.sampled_from([ip_network("::/0"), ip_network("64:ff9b::/96"), ip_network("2002::/16")]),
    max_size=3,
).map(tuple)


@pytest.mark.parametrize("form", FORMS)
@given(inner=ADDRESSES, allow=NETWORKS, deny=NETWORKS, loopback=st.booleans())
def test_t09_an_embedded_form_is_never_laxer(
    form: str, inner: IPv4Address, allow: Networks, deny: Networks, loopback: bool
) -> None:
    guard = DialGuard(allow, deny, loopback)
    outer = FORMS[form](inner)
    if guard.denied(str(inner)) is not None and outer not in {"::", "::1"}:
        assert guard.denied(outer) is not None


@given(st.text(max_size=50) | st.ip_addresses().map(str))
def test_any_text_has_an_answer(text: str) -> None:
    STANDARD.denied(text)


def test_networks() -> None:
    assert parse_networks("") == ()
    assert parse_networks("10.0.0.0/8,192.0.2.1, 2001:DB8::/32,::1") == (
        ip_network("10.0.0.0/8"),
        ip_network("192.0.2.1/32"),
        ip_network("2001:db8::/32"),
        ip_network("::1/128"),
    )


@pytest.mark.parametrize("text", ["10.0.0.1/8", "2001:db8::1/32", "::1,192.0.2.1/24", "1.2.3.4/0"])
def test_host_bits_are_an_error_that_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="host bits set"):
        parse_networks(text)


@pytest.mark.parametrize(
    "text",
    [",", "10.0.0.0/8,", "10.0.0.0/33", "::/129", "10.0.0.0/255.0.0.0", "tool.example", "fe80::1%eth0", "1", "10/8",
     "010.0.0.1", "10.0.0.0/-1", "10.0.0.0/٨", "user:pw@host"],
)  # fmt: skip
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="CIDR form") as caught:
        parse_networks(text)
    assert text not in str(caught.value) or text in {",", "1"}


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_what_is_the_same_machine_from_everywhere(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "100.64.0.1", "127.1.2.3", "fd00::1", "fe80::1%eth0", "64:ff9b::a00:1", "2002:a00:1::1",
             "::ffff:10.0.0.1", "example.com", "134744072", "0x8080808", "8.8.8.08", ""],
)  # fmt: skip
def test_what_may_be_another_one_elsewhere(host: str) -> None:
    assert not is_public(host)
