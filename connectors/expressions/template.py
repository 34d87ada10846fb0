"""Go templates, the subset that classes use: compile once, render over a Connector, its class and its Secret.

No environment, no DNS, no files (threat 19): a template sees its subject and nothing else. docs/classes.md has the
language, connectors/expressions/limits.py what bounds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from connectors.expressions.errors import TemplateError
from connectors.expressions.evaluate import Program, evaluate
from connectors.expressions.limits import MAX_ITEMS, MAX_NESTING, MAX_OUTPUT, MAX_SOURCE, MAX_STEPS
from connectors.expressions.parser import parse
from connectors.expressions.subject import Subject
from connectors.expressions.view import Root, specimen
from connectors.model.secret_value import SecretValue

__all__ = [
    "MAX_ITEMS",
    "MAX_NESTING",
    "MAX_OUTPUT",
    "MAX_SOURCE",
    "MAX_STEPS",
    "Rendering",
    "Template",
    "TemplateError",
    "compile_template",
]

_SPECIMEN = specimen()


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a template wrote. `from_secret`: it looked at the Secret on the way, be it in a condition only."""

    value: SecretValue
    from_secret: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template."""

    _program: Program = field(repr=False)

    def render(self, subject: Subject) -> Rendering:
        """Render over a subject.

        Raises:
            TemplateError: a value is missing, a function refuses its arguments, or a limit is passed. The message
                has line and column, and never a rendered value.
        """
        root = Root(subject)
        value = SecretValue(evaluate(self._program, root.value()))
        return Rendering(value, root.reads_secret)


@lru_cache(maxsize=1024)
def compile_template(source: str) -> Template:
    """Compile; equal sources share one Template.

    Raises:
        TemplateError: with line and column, where the source leaves the subset.
    """
    return Template(parse(source, _SPECIMEN))
