"""The two images, read instead of built: what they are made of, that it is enough, and that it is no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy.crds import ROOT
from tests.deploy.dockerfiles import copies, instructions, stages, value
from tests.deploy.imports import PACKAGES, closure, entry_points

IMAGES = {"proxy": "deploy/proxy.yaml", "controller": "deploy/controller.yaml"}
each_image = pytest.mark.parametrize("image", IMAGES)


def pins(file: str) -> dict[str, str]:
    """Distribution -> version and hashes."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.split(maxsplit=1) for line in text.splitlines() if "==" in line)
    return {name.partition("==")[0]: f"{name} {rest}" for name, rest in lines}


@each_image
def test_both_stages_have_the_same_slim_debian_base(image: str) -> None:
    first, *_ = instructions(image)
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-bookworm", first.words)
    assert [stage[0].words for stage in stages(image)] == ["${BASE} AS builder", "${BASE}"]


@each_image
def test_requirements_are_installed_from_hashes_as_wheels(image: str) -> None:
    builder, final = stages(image)
    install = next(item.words for item in builder if item.name == "RUN" and " install " in item.words)
    assert {"--require-hashes", "--only-binary=:all:", "--without-pip"} <= set(install.split())
    assert not [item for item in final if item.name == "RUN"]


@each_image
def test_each_image_copies_its_own_packages_only(image: str) -> None:
    builder, final = stages(image)
    taken = [source for copy in (*copies(builder), *copies(final)) if not copy.stage for source in copy.sources]
    assert sorted(taken) == sorted([f"requirements/{image}.txt", "connectors", image, "LICENSE"])
    assert all((ROOT / source).exists() for source in taken)
    assert [copy.sources for copy in copies(final) if copy.stage] == [("/opt/venv",), ("/app",)]


@each_image
def test_everything_that_is_copied_passes_dockerignore(image: str) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    taken = {source for stage in stages(image) for copy in copies(stage) if not copy.stage for source in copy.sources}
    assert taken <= {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}


@each_image
def test_it_runs_as_nobody_in_particular(image: str) -> None:
    _, final = stages(image)
    assert value(final, "USER") == "65532:65532"
    assert json.loads(value(final, "ENTRYPOINT")) == ["python", "-m", image]
    assert "PYTHONDONTWRITEBYTECODE=1" in value(final, "ENV")
    assert "STOPSIGNAL" not in {item.name for item in final}


@each_image
def test_it_is_the_image_that_the_deployment_names(image: str) -> None:
    documents = yaml.safe_load_all((ROOT / IMAGES[image]).read_text(encoding="utf-8"))
    (deployment,) = (found for found in documents if found["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert container["image"] == f"connectors-{image}:{version}"
    assert container["image"] in (ROOT / f"Dockerfile.{image}").read_text(encoding="utf-8")


@each_image
def test_nothing_of_the_other_processes_is_reached(image: str) -> None:
    reached = {name.partition(".")[0] for name in closure(entry_points(image)).modules}
    assert reached <= {"connectors", image}
    assert reached < set(PACKAGES)


@each_image
def test_requirements_are_what_is_imported(image: str) -> None:
    lines = (ROOT / f"requirements/{image}.in").read_text(encoding="utf-8").splitlines()
    listed = {re.split(r"[; ]", line)[0] for line in lines if line and not line.startswith(("#", "-"))}
    needed = closure(entry_points(image)).distributions
    assert needed <= listed, "add these, and compile the list again"
    if (ROOT / image / "__main__.py").exists():
        assert needed == listed, "take these out, and compile the list again"


@each_image
def test_versions_and_hashes_are_those_that_tests_run_with(image: str) -> None:
    own, runtime = pins(f"requirements/{image}.txt"), pins("requirements/runtime.txt")
    assert own
    assert own.items() <= runtime.items()
    assert not own.keys() & pins("requirements/dev.txt").keys() - runtime.keys()
    assert not [line for line in _text(f"requirements/{image}.txt") if line.startswith("-")]


def _text(file: str) -> list[str]:
    return (ROOT / file).read_text(encoding="utf-8").splitlines()


IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The Python of a clean environment with what a list of requirements pins; lists that pin the same share one."""
    made: dict[frozenset[str], str] = {}

    def install(requirements: str) -> str:
        pinned = frozenset(pins(requirements).values())
        if pinned not in made:
            venv = tmp_path_factory.mktemp("image") / "venv"
            run(sys.executable, "-m", "venv", "--without-pip", str(venv))
            made[pinned] = str(venv / "bin" / "python")
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", made[pinned]]
            options = ("--no-compile", "--only-binary=:all:", "--require-hashes", "-r", str(ROOT / requirements))
            run(*pip, "install", *options)
        return made[pinned]

    return install


@pytest.mark.slow
@pytest.mark.timeout(300)
@each_image
def test_the_copied_set_imports_in_a_clean_environment(
    image: str, installed: Callable[[str], str], tmp_path: Path
) -> None:
    builder, _ = stages(image)
    requirements = next(source for copy in copies(builder) for source in copy.sources if source.endswith(".txt"))
    for source in ("connectors", image):
        (tmp_path / source).symlink_to(ROOT / source)
    names = sorted(closure(entry_points(image)).modules - {f"{image}.__main__"})
    assert len(names) > 10
    run(installed(requirements), "-B", "-W", "error", "-c", IMPORT_ALL, *names, cwd=tmp_path)


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
