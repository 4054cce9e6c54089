"""What the README and the documents name exists, and their examples are valid."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sequela.cli.main import app
from sequela.studies import read_study, study_from_text

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not link.startswith("http"):
            assert (document.parent / link).exists(), link


def test_the_commands_of_the_readme_exist() -> None:
    named = set(re.findall(r"sequela ([a-z-]+)\b", "\n".join(blocks("sh")))) | set(
        re.findall(r"`sequela ([a-z-]+)", README)
    )
    known = {command.name for command in app.registered_commands}
    assert named
    assert named <= known


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"make ([a-z-]+)", "\n".join(blocks("sh"))))
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_study_of_the_readme_is_valid() -> None:
    (text,) = blocks("yaml")
    assert study_from_text(text, "README.md").checkpoints == (0, 1, 5, 10, 20)


def test_the_python_of_the_readme_is_valid() -> None:
    (text,) = blocks("python")
    assert ast.parse(text).body


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.name)
def test_examples_are_valid_studies(path: Path) -> None:
    assert read_study(path).name == path.stem
