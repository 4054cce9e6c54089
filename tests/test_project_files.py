"""Project files for other programs: hosted CI, issue forms, hooks, the citation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import sequela

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FORMS = sorted(path for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if path.name != "config.yml")
PARSED = sorted(
    [
        *ROOT.glob(".github/**/*.yml"),
        *ROOT.glob("examples/*.yaml"),
        *ROOT.glob("src/**/*.yaml"),
        ROOT / ".pre-commit-config.yaml",
        ROOT / "CITATION.cff",
    ]
)


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PARSED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_is_yaml(path: Path) -> None:
    assert parsed(path)


def supported() -> list[str]:
    """Returns the Python versions that `requires-python` allows."""
    bounds = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', PYPROJECT, flags=re.MULTILINE)
    assert bounds is not None
    return [f"3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]


def test_ci_runs_every_supported_python() -> None:
    jobs = parsed(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python-version"] == supported()


def test_ci_runs_the_checks_of_make_check_and_the_slow_tests_every_night() -> None:
    workflow = parsed(ROOT / ".github" / "workflows" / "ci.yml")
    checked = re.search(r"^check: (.*?)  ##", MAKEFILE, flags=re.MULTILINE)
    assert checked is not None
    jobs = workflow["jobs"]
    run = [*jobs["checks"]["strategy"]["matrix"]["check"], "test"]
    assert sorted(run) == sorted(checked[1].split())
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands == [
        "make ${{ matrix.check }} PYTHON=python",
        "make test PYTHON=python",
        "make test-slow PYTHON=python",
    ]
    triggers = workflow[True]  # YAML 1.1 reads the key `on` as true
    assert triggers["schedule"]


def test_hooks_are_local_and_use_the_tools_of_the_environment() -> None:
    config = parsed(ROOT / ".pre-commit-config.yaml")
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    for hook in config["repos"][0]["hooks"]:
        command = hook["entry"].split()[0].removeprefix(".venv/bin/")
        package = {"lint-imports": "import-linter"}.get(command, command)
        assert re.search(rf'^    "{package}>=', PYPROJECT, flags=re.MULTILINE), package


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = parsed(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == sequela.__version__
    assert f'version = "{sequela.__version__}"' in PYPROJECT
    (paper,) = citation["references"]
    assert paper["url"] == "https://arxiv.org/abs/2410.18785"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_the_required_fields(path: Path) -> None:
    form = parsed(path)
    assert {"name", "description", "body"} <= set(form)
    inputs = [field for field in form["body"] if field["type"] != "markdown"]
    assert any(field.get("validations", {}).get("required") for field in inputs)
    assert len({field["id"] for field in inputs}) == len(inputs)
    for field in inputs:
        assert field["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]
        if field["type"] in {"dropdown", "checkboxes"}:
            assert field["attributes"]["options"]


def test_there_is_a_form_for_each_kind_of_issue() -> None:
    assert {path.stem for path in FORMS} == {"bug", "new-benchmark", "new-method", "question"}


def test_every_direct_dependency_for_development_is_pinned() -> None:
    (extra,) = re.findall(r"^dev = \[(.*?)^\]", PYPROJECT, flags=re.MULTILINE | re.DOTALL)
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    named = {name.lower() for name in re.findall(r'^    "([\w.-]+)>=', extra, flags=re.MULTILINE)}
    assert "ruff" in named
    assert named <= pinned
