from __future__ import annotations

import pytest

from bench.load import LoadError, Small, parse_wrk

OUTPUT = """Running 5s test @ http://127.0.0.1:8080/small
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   541.80us  310.00us   9.21ms   92.10%
    Req/Sec    59.34k     2.30k   62.00k    70.00%
  Latency Distribution
     50%  {p50}
     75%  600.00us
     90%  800.00us
     99%  {p99}
  295311 requests in 5.00s, 55.20MB read
{extra}Requests/sec:  59031.25
Transfer/sec:     11.04MB
"""


def output(p50: str = "499.00us", p99: str = "1.25ms", extra: str = "") -> str:
    return OUTPUT.format(p50=p50, p99=p99, extra=extra)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (output(), Small(295311, 59031.25, 0.499, 1.25)),
        (output(p99="1.50s"), Small(295311, 59031.25, 0.499, 1500.0)),
        (output(p50="0.00us", p99="2.00m"), Small(295311, 59031.25, 0.0, 120_000.0)),
    ],
    ids=["us and ms", "seconds", "minutes"],
)
def test_wrk_output(text: str, expected: Small) -> None:
    found = parse_wrk(text)
    assert (found.requests, found.rate, found.p50, found.p99) == pytest.approx(
        (expected.requests, expected.rate, expected.p50, expected.p99)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (output(extra="  Non-2xx or 3xx responses: 295311\n"), "Non-2xx or 3xx responses: 295311\n"),
        (output(extra="  Socket errors: connect 0, read 3, write 0, timeout 0\n"), "Socket errors: connect 0, read 3"),
        (output().replace("295311 requests", "0 requests"), "no request was answered\n"),
        (output(p50="nan"), "wrk was not understood\n"),
        ("unable to connect to 127.0.0.1:1 Connection refused\n", "wrk was not understood\nunable to connect"),
        ("", "wrk was not understood"),
    ],
    ids=["refusals", "socket errors", "no answer", "no median", "no server", "nothing"],
)
def test_wrk_run_that_measured_something_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(LoadError) as caught:
        parse_wrk(text)
    # The first line is what a report shows.
    assert str(caught.value).startswith(said)
