from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.evaluation.registry import (
    HARNESS,
    check_options,
    list_suites,
    make_suite,
    make_suites,
    suite_names,
)
from support.own_task import OWN


@pytest.mark.parametrize("name", [name for name in suite_names() if name != HARNESS])
def test_every_suite_can_be_created_by_its_name(name: str) -> None:
    assert make_suite(name).name == name


def test_every_suite_is_listed_once() -> None:
    described = list_suites()
    assert tuple(dict.fromkeys(suite.name for suite in described)) == suite_names()
    assert len({(suite.name, suite.task, suite.protocol) for suite in described}) == len(described)
    assert described[0].items is not None
    assert described[0].items >= 240


def test_the_error_for_an_unknown_suite_suggests_similar_names() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'truthfulqa'"):
        make_suite("truthfulqa_mc1")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "mmlu",
            {"subject": "anatomy"},
            "Allowed: limit, protocols, subjects, num_fewshot, max_new_tokens, too_long.",
        ),
        ("toxigen", {"num_fewshot": 2}, "toxigen has no setting 'num_fewshot'"),
        ("perplexity", {"limit": 2}, "Allowed: window."),
        ("builtin", {"limit": 0}, "limit = 0"),
        ("gsm8k", {"max_new_tokens": 0}, "max_new_tokens = 0"),
        ("gsm8k", {"limit": "many"}, "limit = 'many'"),
        ("mmlu", {"num_fewshot": 6}, "num_fewshot = 6"),
        ("mmlu", {"protocols": ["letters"], "max_new_tokens": 6}, "'max_new_tokens' under letters"),
    ],
)
def test_the_error_for_wrong_options_names_the_allowed_ones(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        check_options(name, options)
    assert message in str(caught.value)


def test_options_are_passed_to_the_suite() -> None:
    with pytest.raises(UnknownNameError, match="anatomi"):
        make_suite("mmlu", subjects=["anatomi"])
    with pytest.raises(UnknownNameError, match="arithmetics"):
        make_suite("builtin", categories=["arithmetics"])
    assert make_suite("perplexity", window=64).version != make_suite("perplexity").version


def test_listing_the_suites_does_not_import_the_harness() -> None:
    code = (
        "import sys; from sequela.evaluation.registry import list_suites; "
        "list_suites(); print('lm_eval' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_task_file_may_be_named_by_a_path_object(tmp_path: Path) -> None:
    (tmp_path / "capitals.yaml").write_text(OWN, encoding="utf-8")
    (tmp_path / "capitals.jsonl").write_text('{"country": "Peru", "capital": "Lima"}\n', encoding="utf-8")
    path = tmp_path / "capitals.yaml"
    assert {suite.name for suite in make_suites([path, str(path), {"name": path}])} == {"capitals"}


@pytest.mark.parametrize(
    ("name", "option", "meant"),
    [
        ("mmlu", "limt", "limit"),
        ("mmlu", "shots", "num_fewshot"),
        ("mmlu", "n_shot", "num_fewshot"),
        ("lm_eval:arc_easy", "Few-Shots", "num_fewshot"),
        ("gsm8k", "max_gen_toks", "max_new_tokens"),
        ("gsm8k", "n_samples", "limit"),
        ("builtin", "subjects", "categories"),
        ("perplexity", "windows", "window"),
        ("perplexity", "shots", ""),
    ],
)
def test_the_option_that_was_meant_is_suggested(name: str, option: str, meant: str) -> None:
    with pytest.raises(BadInputError) as caught:
        check_options(name, {option: 3})
    hint = caught.value.hint or ""
    assert hint.startswith(f"Did you mean {meant!r}? Allowed: " if meant else "Allowed: ")
