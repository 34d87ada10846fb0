"""A secret is a type: it cannot be printed, compared, hashed by content, copied into a pickle or formatted."""

from __future__ import annotations

from typing import NoReturn, final

REDACTED = "**********"


@final
class SecretValue:
    """Bytes that only `reveal()` shows; the name is chosen so that a grep finds every place that looks.

    Identity is its only equality, so no comparison of secrets can leak through timing or a test's message.
    """

    __slots__ = ("__value",)

    def __init__(self, value: bytes) -> None:
        self.__value = value

    def reveal(self) -> bytes:
        """The secret bytes themselves. Call it as late as possible and keep no reference."""
        return self.__value

    def __repr__(self) -> str:
        return f"SecretValue({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a SecretValue is never pickled or copied")
