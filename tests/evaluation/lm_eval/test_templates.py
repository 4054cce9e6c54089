from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import lm_eval.utils
import pytest

from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.sandbox.rendering import apply_template
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.templates import sandboxed_templates
from sequela.evaluation.registry import make_suite
from sequela.inference import TorchEngine
from support.harness_data import DATA_SETS, write_rows

SETTINGS: dict[str, dict[str, Any]] = {
    "mmlu": {"subjects": ["anatomy"], "protocols": ["generation", "letters", "answers"]},
    "gsm8k": {"max_new_tokens": 4, "limit": 1},
    "truthfulqa": {},
    "toxigen": {},
}


def test_a_run_compiles_each_template_once(
    small_data: Path, edited: EditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_template, compiled = jinja2.Environment.from_string, []

    def counted(self: jinja2.Environment, template: str) -> jinja2.Template:
        compiled.append(
            (id(self), template)
        )  # nulls are refused while items are checked, by a sandbox of its own
        return compile_template(self, template)

    monkeypatch.setattr(jinja2.Environment, "from_string", counted)
    suite = HarnessSuite("commonsenseqa")
    suite.evaluate(edited, TorchEngine())
    suite.evaluate(edited, TorchEngine())
    assert len(compiled) == len(set(compiled))


def test_the_text_is_the_same_as_the_harness_renders() -> None:
    template, document = "{{ a|regex_replace('b+', '-') }} {{ items|length }}\n", {"a": "abba", "items": [1]}
    assert apply_template(template, document) == lm_eval.utils.apply_template(template, document) == "a-a 1\n"
    with pytest.raises(jinja2.UndefinedError):
        apply_template("{{ missing }}", document)


@pytest.mark.parametrize("suite", [*SETTINGS, "lm_eval:arc_easy", "lm_eval:gsm8k"])
def test_every_template_is_rendered_in_the_sandbox(
    suite: str, small_data: Path, edited: EditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is rendered outside the blocks in which the harness uses the sandbox."""

    def unsandboxed(template: str, document: object) -> str:
        raise AssertionError(f"{template!r} is rendered without a sandbox")

    monkeypatch.setattr(lm_eval.utils, "apply_template", unsandboxed)
    name, _, task = suite.partition(":")
    if task:
        for split, rows in DATA_SETS[task].items():
            write_rows(small_data / "lm_eval" / task / f"{split}.jsonl", rows)
        results = make_suite(suite, num_fewshot=2).evaluate(edited, TorchEngine())
    else:
        results = make_suite(name, **SETTINGS[name]).evaluate(edited, TorchEngine())
    assert results
    assert lm_eval.utils.apply_template is unsandboxed


def test_the_harness_is_restored_after_the_block() -> None:
    before = lm_eval.utils.apply_template

    def fail_inside() -> None:
        with sandboxed_templates():
            assert lm_eval.utils.apply_template is apply_template
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert lm_eval.utils.apply_template is before
