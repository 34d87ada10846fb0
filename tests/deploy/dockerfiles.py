"""Dockerfiles as data: stages of instructions."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from tests.deploy.crds import ROOT


class Instruction(NamedTuple):
    """One instruction, its continuation lines joined."""

    name: str
    words: str


class Copy(NamedTuple):
    """COPY: from the build context, or from an earlier stage."""

    sources: tuple[str, ...]
    target: str
    stage: str = ""


def instructions(image: str) -> list[Instruction]:
    """Of Dockerfile.IMAGE, in order; comments left out."""
    text = (ROOT / f"Dockerfile.{image}").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found = (line.split(maxsplit=1) for line in lines if line.strip())
    return [Instruction(name, re.sub(r"\s+", " ", words).strip()) for name, words in found]


def stages(image: str) -> list[list[Instruction]]:
    """The instructions from each FROM to the next."""
    found: list[list[Instruction]] = []
    for instruction in instructions(image):
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def copies(stage: list[Instruction]) -> list[Copy]:
    """Its COPY instructions."""
    return [_copy(instruction.words) for instruction in stage if instruction.name == "COPY"]


def value(stage: list[Instruction], name: str) -> str:
    """The words of the only instruction of that name."""
    (found,) = (instruction.words for instruction in stage if instruction.name == name)
    return found


def _copy(words: str) -> Copy:
    parts = shlex.split(words)
    stage = next((part.removeprefix("--from=") for part in parts if part.startswith("--from=")), "")
    paths = [part for part in parts if not part.startswith("--")]
    return Copy(tuple(path.rstrip("/") for path in paths[:-1]), paths[-1], stage)
