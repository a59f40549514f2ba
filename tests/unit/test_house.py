"""The packaging says what the folders hold."""

import ast
import inspect
import tomllib
from pathlib import Path

import tracekit

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECTORIES = PROJECT["tool"]["setuptools"]["package-dir"]
PUBLIC_ROOMS = ["tracekit", "collectors", "analyzers", "examples"]


def packages_on_disk():
    found = {"tracekit.sample_traces", "tracekit.demo.corpus"}  # data alone
    for package, folder in DIRECTORIES.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / folder)
            if not any((ROOT / folder / parent).is_symlink() for parent in [inner, *inner.parents][:-1]):
                found.add(".".join([package, *inner.parts]))
    return found


def test_package_list_matches_the_folders():
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_links_to_the_top_level_folders_exist():
    for name in ("collectors", "analyzers", "sample_traces"):
        assert (ROOT / "tracekit" / name).resolve() == ROOT / name


def test_version_is_the_projects():
    assert tracekit.__version__ == PROJECT["project"]["version"]


def test_public_names():
    assert set(tracekit.__all__) == {"__version__", "mark", "session", "tool"}


def test_every_module_and_public_definition_says_what_it_is():
    missing = []
    for room in PUBLIC_ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            if file.name == "__init__.py" and not file.read_text().strip():
                continue
            tree = ast.parse(file.read_text())
            if not ast.get_docstring(tree):
                missing.append(str(file.relative_to(ROOT)))
            missing += [
                f"{file.relative_to(ROOT)}:{node.name}"
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and "kernels"
                not in file.parts  # a kernel's parts are not public; layout.py documents the whole
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
            ]
    assert missing == []


def test_what_runs_in_the_agent_is_python_3_8():
    for folder in ("inside", "injected"):
        for file in (ROOT / "collectors" / folder).glob("*.py"):
            ast.parse(file.read_text(), feature_version=(3, 8))


def test_tool_keeps_its_signature():
    assert inspect.signature(tracekit.tool("search")(lambda query, limit=3: None)).parameters.keys() == {
        "query",
        "limit",
    }
