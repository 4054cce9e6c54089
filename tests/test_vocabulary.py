"""No word that the glossary bans occurs in the source, which includes all help texts, or in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"
SECTION = "## Words we do not use"
CHECKED = sorted(
    path
    for folder in ("src", "docs", "examples", "benchmarks", ".github")
    for suffix in ("py", "pyi", "j2", "md", "yaml", "yml", "ipynb", "toml", "js", "css")
    for path in (ROOT / folder).rglob(f"*.{suffix}")
    if not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
) + sorted([*ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / "CITATION.cff"])


def banned_phrases() -> list[str]:
    """The phrases in the first column of the glossary's last table."""
    table = GLOSSARY.read_text(encoding="utf-8").partition(SECTION)[2]
    cells = re.findall(r"^\| (.+?) \|", table, flags=re.MULTILINE)[1:]
    return [phrase.strip() for cell in cells for phrase in cell.split(",")]


def occurrences(text: str) -> list[str]:
    """The banned phrases of a text, each with its line."""
    pattern = "|".join(re.escape(phrase).replace(r"\ ", r"\s+(?:#\s+)?") for phrase in banned_phrases())
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, flags=re.IGNORECASE)
    ]


def test_the_glossary_bans_the_words_of_earlier_versions() -> None:
    assert {"told", "wished", "seat", "restraint", "order seed", "likeliest"} <= set(banned_phrases())


def test_a_banned_word_is_found_in_any_case_and_across_lines() -> None:
    assert occurrences("Who is told.\nThe order\nseed; the orderly Seats.") == [
        "line 1: 'Who is told'",
        "line 2: 'order\\nseed'",
        "line 3: 'Seats'",
    ]


@pytest.mark.parametrize("folder", ["src", "benchmarks", "examples", "tests"])
def test_docstrings_are_nouns_or_sentences(folder: str) -> None:
    question = re.compile(r'^\s*"""(?:What|How|Whether|Which|Where|When|Why|Who)\b.*', re.MULTILINE)
    found = {
        str(path.relative_to(ROOT)): question.findall(path.read_text(encoding="utf-8"))
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_word_occurs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert occurrences(text.partition(SECTION)[0] if path == GLOSSARY else text) == []
