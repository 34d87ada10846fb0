"""The shape of the tree, as architecture and CONTRIBUTING describe it: a departure fails here and says what to do."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("connectors", "proxy", "controller", "standalone")
CODE = (*PACKAGES, "examples", "attacks", "bench", "tests")
FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 6
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager"}

FREE_TESTS = {
    "tests/attacks",
    "tests/bench",
    "tests/cluster",
    "tests/deploy",
    "tests/docs",
    "tests/e2e",
    "tests/examples",
    "tests/mutation",
    "tests/peers",
    "tests/proxy/transcripts",
}
"""Folders whose tests belong to no single module."""
TESTS_WITHOUT_MODULE = {
    "tests/test_layout.py": "this file",
    "tests/connectors/sources/test_cluster_authorities.py": "CAs that come and go",
}
MODULES_WITHOUT_TEST: dict[str, str] = {}
"""Source modules that need no test of their own, each with the reason."""
REVEALS = {
    "connectors/credentials/bearer_token.py": "builds the Authorization value",
    "connectors/credentials/reading.py": "takes line ends off values, and looks for what cannot stand in a header",
    "connectors/credentials/credential.py": "puts a credential on a head, last of all",
    "connectors/credentials/docker_config.py": "looks for the login of one registry among others",
    "connectors/credentials/scheme.py": "builds the value of a login",
    "connectors/credentials/generated.py": "checks that a rendered value fits a header",
    "connectors/credentials/client_certificate.py": "looks whether key and certificate belong together",
    "connectors/dial/fetch.py": "puts values on a request",
    "connectors/dial/upstream_proxy.py": "builds the Proxy-Authorization value",
    "connectors/expressions/template.py": "shows a template the Secret that it is about",
    "connectors/objects/secret.py": "defines it",
    "connectors/tls/certificates.py": "looks for CA certificates, which are nobody's secret",
    "connectors/tls/loading.py": "loads a private key into a TLS context",
    "connectors/tls/serving.py": "takes the digest of what is served",
    "controller/admission/certificates.py": "makes, reads and writes the webhook's own keys",
    "controller/probes/redirects.py": "resolves a Location against the address that was asked",
    "controller/probes/request.py": "checks that a rendered path or header can stand in a request",
    "connectors/sources/upstream_logins.py": "checks that a login fits a header, and whether it is another one",
    "connectors/sources/handover.py": "hands Secrets to the workers, over a socket that they inherit",
    "standalone/probe_report.py": "shows what was sent, where it was not made of a secret",
    "connectors/snapshot.py": "takes the digest of callers' tokens",
}
"""The only modules that may look at a secret, each with the reason."""
ENVIRONMENT_READERS = {"connectors/process/settings.py"}


def sources(*folders: str) -> list[str]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: str) -> ast.Module:
    return ast.parse(text(path))


@pytest.fixture(scope="module", autouse=True)
def _trees() -> Iterator[None]:
    """Eight hundred trees are millions of objects, which the collector would visit again and again."""
    gc.disable()
    yield
    tree.cache_clear()
    gc.enable()


def functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    # They stand among statements, and most of a tree is expressions.
    waiting: list[ast.AST] = [tree(path)]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                waiting.append(node)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def attributes(name: str, paths: Iterable[str]) -> Iterator[tuple[str, ast.Attribute]]:
    """Each place in these files where an attribute of this name is read or set."""
    for path in paths:
        if name in text(path):
            found = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute) and node.attr == name)
            yield from ((path, node) for node in found)


def modules_of(test: str) -> list[str]:
    """tests/a/b/test_c_d.py -> a/b/c_d.py, and a/b/c.py of which it tests the aspect d."""
    path = Path(test)
    folder, words = path.parent.relative_to("tests"), path.stem.removeprefix("test_").split("_")
    return [(folder / f"{'_'.join(words[:count])}.py").as_posix() for count in range(len(words), 0, -1)]


def test_of(module: str) -> str:
    path = Path(module)
    return (Path("tests") / path.parent / f"test_{path.name}").as_posix()


test_of.__test__ = False  # type: ignore[attr-defined]  # its name makes pytest take it for a test


def in_free_folder(test: str) -> bool:
    return any(test.startswith(f"{folder}/") for folder in FREE_TESTS)


def test_every_test_file_has_its_module() -> None:
    tests = [path for path in sources("tests") if Path(path).name.startswith("test_") and not in_free_folder(path)]
    lost = [
        path
        for path in tests
        if path not in TESTS_WITHOUT_MODULE and not any((ROOT / module).is_file() for module in modules_of(path))
    ]
    assert not lost, f"these tests mirror no module; move them beside the module they test: {lost}"


def test_every_module_has_its_test_file() -> None:
    # A module that only declares (an enum, a table, a frozen value) has nothing of its own that could fail.
    modules = [path for path in sources(*PACKAGES) if path not in MODULES_WITHOUT_TEST and any(functions(path))]
    bare = [path for path in modules if not (ROOT / test_of(path)).is_file()]
    assert not bare, f"these modules have no test; write {[test_of(path) for path in bare]}"


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {Path(path).parent for path in sources("tests")}
    lacking = sorted(str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file())
    assert not lacking, f"without __init__.py, tests/proxy would be imported as proxy; add one to {lacking}"


def ends_with_a_claim(function: ast.AST) -> bool:
    """Whether something is asserted behind a `yield`."""
    yields = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Yield)]
    claims = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Assert)]
    return bool(yields) and max(claims, default=0) > min(yields)


def test_the_end_of_a_fixture_claims_nothing() -> None:
    """It comes too where the test was skipped for a lacking program: what that should have done did not happen."""
    claims = [
        f"{path}:{made.lineno}"
        for path in sources("tests/cluster", "tests/e2e", "tests/peers")
        for made in functions(path)
        if any("fixture" in ast.unparse(of) for of in made.decorator_list) and ends_with_a_claim(made)
    ]
    assert not claims, f"assert in the tests, not at the end of these fixtures: {claims}"


def test_every_exception_above_still_exists() -> None:
    listed = {*TESTS_WITHOUT_MODULE, *MODULES_WITHOUT_TEST, *REVEALS, *ENVIRONMENT_READERS}
    gone = sorted(path for path in listed if not (ROOT / path).is_file())
    assert not gone, f"take these out of the lists of tests/test_layout.py: {gone}"


def test_sizes() -> None:
    long = []
    for path in sources(*CODE):
        lines = len(text(path).splitlines())
        if lines > FILE_LINES:
            long.append(f"{path} has {lines} lines; split it by what its parts are about")
        for function in functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > FUNCTION_LINES:
                long.append(f"{path}:{function.lineno}: {function.name} has {length} lines; split it")
            given = function.args
            names = {argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
            # pytest's fixtures are parameters
            if len(names - {"self", "cls"}) > PARAMETERS and not path.startswith("tests/"):
                long.append(f"{path}:{function.lineno}: {function.name} has {len(names)} parameters; make a value")
    assert not long, "\n".join(long)


def test_names() -> None:
    words = {
        path: {word for part in Path(path).with_suffix("").parts for word in part.split("_")} for path in sources(*CODE)
    }
    vague = [path for path in words if words[path] & FORBIDDEN_NAMES]
    assert not vague, f"name these after what they do: {vague}"


def test_no_logic_in_init() -> None:
    extra = [
        f"{path}:{node.lineno}"
        for path in sources(*CODE)
        if path.endswith("/__init__.py")
        for node in tree(path).body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    assert not extra, f"an __init__.py says in its docstring what belongs in the package, and does nothing: {extra}"


def test_t14_secrets_are_revealed_in_listed_modules_only() -> None:
    calls = [f"{path}:{node.lineno}" for path, node in attributes("reveal", sources(*PACKAGES)) if path not in REVEALS]
    assert not calls, f"reveal() is for the modules listed in tests/test_layout.py: {calls}"


def test_environment_is_read_in_one_place() -> None:
    reads = [
        f"{path}:{node.lineno}"
        for name in ("environ", "getenv", "environb")
        for path, node in attributes(name, sources(*PACKAGES))
        if path not in ENVIRONMENT_READERS and isinstance(node.value, ast.Name) and node.value.id == "os"
    ]
    assert not reads, f"declare these; see connectors/process/declaration.py: {reads}"


def test_annotations_are_postponed() -> None:
    late = [
        path
        for path in sources(*CODE)
        if not path.endswith("/__init__.py")
        and not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree(path).body)
    ]
    assert not late, f"begin these with `from __future__ import annotations`: {late}"
