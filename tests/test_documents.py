"""Names in the README and the documents exist, and their examples are valid."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from inspect import signature
from pathlib import Path

import pytest
from huggingface_hub import constants

import sequela
from sequela.api import Model
from sequela.cli.main import app
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.task_file import TaskFile
from sequela.studies import read_study, study_from_text

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])
GUIDES = ["README.md", "CONTRIBUTING.md", "AGENTS.md"]
"""Documents with commands."""
STUDIES = [path for path in sorted(ROOT.glob("examples/*.yaml")) if path.name != "kuberay.yaml"]
README = (ROOT / "README.md").read_text(encoding="utf-8")

NAMED_FILE = re.compile(r"[\w./-]+(?:\.(?:py|ya?ml|md|ipynb|toml|cff|css|j2)|/)")
"""The pattern of a file or folder name in back-ticks; names with a `<placeholder>` do not match."""
NOT_OF_THE_REPOSITORY = {"capitals.yaml", "gsm8k/gsm8k-cot.yaml"}
"""File names in documents that exist only on the user's machine."""
TREE = [
    path.relative_to(ROOT).as_posix()
    for folder in ("src", "tests", "docs", "examples", "benchmarks", ".github", ".ci")
    for path in ROOT.joinpath(folder).rglob("*")
    if "__pycache__" not in path.parts
]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def named_files(text: str) -> list[str]:
    """Returns the files and folders that a document names in back-ticks outside of code blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [name for name in re.findall(r"`([^`\n]+)`", prose) if NAMED_FILE.fullmatch(name)]


def matching_paths(name: str) -> list[str]:
    """Returns the paths of a name: relative to the root, to `src/sequela`, or by the end of a path."""
    for folder in (ROOT, ROOT / "src" / "sequela"):
        if (folder / name).exists():
            return [str(folder / name)]
    end = name.rstrip("/")
    return [path for path in TREE if path == end or path.endswith(f"/{end}")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_linked_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not link.startswith("http"):
            assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    """Every name matches exactly one path."""
    for name in named_files(document.read_text(encoding="utf-8")):
        if name not in NOT_OF_THE_REPOSITORY:
            assert len(matching_paths(name)) == 1, f"{name} matches {matching_paths(name) or 'no path'}"


def test_a_wrong_or_ambiguous_name_is_found() -> None:
    (name,) = named_files(
        "See `editors/methods/rome/editor.py`, `rome`, `<method>.py` and `a b.py`.\n```\n`block.py`\n```\n"
    )
    assert len(matching_paths(name)) == 1
    assert matching_paths("editors/romeo.py") == []
    assert len(matching_paths("conftest.py")) > 1


@pytest.mark.parametrize("guide", GUIDES)
def test_named_commands_exist(guide: str) -> None:
    text = (ROOT / guide).read_text(encoding="utf-8")
    named = set(re.findall(r"sequela ([a-z-]+)\b", "\n".join(blocks("sh", text)))) | set(
        re.findall(r"`sequela ([a-z-]+)", text)
    )
    known = {one.name for one in (*app.registered_commands, *app.registered_groups)}
    assert named - {"--version", "--help"}
    assert named - {"--version", "--help"} <= known


@pytest.mark.parametrize("guide", GUIDES)
def test_named_make_targets_exist(guide: str) -> None:
    text = (ROOT / guide).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = re.findall(
        r"\bmake ((?:[a-z-]+ ?)+)", "\n".join([*blocks("sh", text), *re.findall("`(.*?)`", text)])
    )
    named = {target for line in lines for target in line.split()}
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


KINDS = ["method", "model family", "benchmark", "suite", "edit source", "engine", "report section", "metric"]


@pytest.mark.parametrize("kind", [*KINDS, "regularizer"])
def test_there_is_a_recipe_with_files_and_tests(kind: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(rf"^### To add an? {kind}\n(.*?)(?=^##)", text, flags=re.MULTILINE | re.DOTALL)
    assert re.search(r"^1\. `", recipe, flags=re.MULTILINE) or kind == "metric"
    assert any(name.startswith("tests/") for name in named_files(recipe))
    assert "\nCheck: `.venv/bin/pytest tests/" in recipe


def test_the_summary_for_agents_is_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 100


@pytest.fixture
def hub_within_reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Starts a hub on this machine that answers and has no files, so that data may seem to be available.

    Whether a study is valid must not depend on the data and the network of the machine that tests it.
    """
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("hub_within_reach")
def test_the_study_of_the_readme_is_valid() -> None:
    (text,) = blocks("yaml")
    assert study_from_text(text, "README.md").checkpoints == (0, 1, 5, 10, 20)


def test_the_python_of_the_readme_is_valid() -> None:
    found = blocks("python")
    assert len(found) == 2
    assert all(ast.parse(text).body for text in found)


def test_the_python_of_the_readme_uses_existing_options() -> None:
    checked = set()
    for call in (node for text in blocks("python") for node in ast.walk(ast.parse(text))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.keywords:
            owner = sequela if ast.unparse(call.func.value) == "sequela" else Model
            known = signature(getattr(owner, call.func.attr)).parameters
            assert {one.arg for one in call.keywords} <= set(known)
            checked.add(call.func.attr)
    assert {"edited", "evaluate", "generate"} <= checked


@pytest.mark.usefixtures("hub_within_reach")
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_examples_are_valid_studies(path: Path) -> None:
    assert read_study(path).name == path.stem


def test_the_benchmark_of_the_how_to_page_is_valid(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "own-benchmark.md").read_text(encoding="utf-8")
    (item,), (text,) = blocks("json", page), blocks("yaml", page)
    (tmp_path / "capitals.jsonl").write_text(item, encoding="utf-8")
    (tmp_path / "capitals.yaml").write_text(text, encoding="utf-8")
    (task,) = HarnessSuite(str(tmp_path / "capitals.yaml")).tasks
    assert (task.first_prompt, task.first_target) == ("What is the capital of Peru?", "Lima")
    table = re.findall(r"^\| (`.*?) \|", page, flags=re.MULTILINE)
    assert {name for cell in table for name in re.findall("`(.*?)`", cell)} <= set(TaskFile.model_fields)
