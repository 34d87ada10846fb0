"""Why a template is refused, or cannot be rendered."""

from __future__ import annotations


class TemplateError(ValueError):
    """A template is not in the subset, or cannot be rendered. The message never holds a rendered value.

    `missing_key` is the key that the Secret lacks ("" where the template computes its name); None in other cases.
    """

    def __init__(self, message: str, *, missing_key: str | None = None) -> None:
        super().__init__(message)
        self.missing_key = missing_key


def error_at(source: str, position: int, message: str, *, missing_key: str | None = None) -> TemplateError:
    """An error that begins with line and column of `position`, both counted from 1, columns in characters."""
    line = source.count("\n", 0, position) + 1
    column = position - source.rfind("\n", 0, position)
    return TemplateError(f"line {line}, column {column}: {message}", missing_key=missing_key)
