"""Which Secrets are wanted, since Connectors refer to them: told one by one, when the first does and when none does."""

from __future__ import annotations

from collections.abc import Callable

from connectors.kube.selection import ObjectKey
from connectors.model.connector import ConnectorKey
from connectors.referrers import Referrers


class References:
    """Costs what changes, however many Connectors there are."""

    def __init__(self, want: Callable[[ObjectKey], None], drop: Callable[[ObjectKey], None]) -> None:
        """`want` is called with a Secret that nobody has referred to before, `drop` with one that nobody does now."""
        self._want = want
        self._drop = drop
        self._of: dict[ConnectorKey, tuple[ObjectKey, ...]] = {}
        self._referrers: Referrers[ObjectKey] = Referrers()

    def set(self, key: ConnectorKey, wanted: tuple[ObjectKey, ...]) -> None:
        """This Connector refers to these from now on, each named once; to none where it is gone."""
        before = self._of.pop(key, ())
        if wanted:
            self._of[key] = wanted
        for secret in wanted:
            if secret not in self._referrers:
                self._want(secret)
            self._referrers.add(secret, key)
        for secret in before:
            if secret not in wanted:
                self._referrers.remove(secret, key)
                if secret not in self._referrers:
                    self._drop(secret)
