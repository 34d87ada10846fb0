from __future__ import annotations

from connectors.objects.violation import Severity, Violation, errors


def test_errors_leave_warnings_out() -> None:
    warning, error = Violation("a", "b", Severity.WARNING), Violation("c", "d")
    assert errors((warning, error)) == (error,)


def test_it_reads_as_path_and_message() -> None:
    assert str(Violation("spec.address", "is empty")) == "spec.address: is empty"
