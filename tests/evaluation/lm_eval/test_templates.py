from __future__ import annotations

from pathlib import Path

import jinja2
import lm_eval.utils
import pytest

from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.templates import apply_template, templates_compiled_once
from sequela.inference import TorchEngine


def test_a_run_compiles_each_template_once(
    small_data: Path, edited: EditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_template, compiled = lm_eval.utils.env.from_string, []

    def counted(template: str) -> jinja2.Template:
        compiled.append(template)
        return compile_template(template)

    monkeypatch.setattr(lm_eval.utils.env, "from_string", counted)
    suite = HarnessSuite("commonsenseqa")
    suite.evaluate(edited, TorchEngine())
    suite.evaluate(edited, TorchEngine())
    assert len(compiled) == len(set(compiled))


def test_the_text_is_the_same_as_the_harness_renders() -> None:
    template, document = "{{ a|regex_replace('b+', '-') }} {{ items|length }}\n", {"a": "abba", "items": [1]}
    assert apply_template(template, document) == lm_eval.utils.apply_template(template, document) == "a-a 1\n"
    with pytest.raises(jinja2.UndefinedError):
        apply_template("{{ missing }}", document)


def test_the_harness_is_restored_after_the_block() -> None:
    before = lm_eval.utils.apply_template

    def fail_inside() -> None:
        with templates_compiled_once():
            assert lm_eval.utils.apply_template is apply_template
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert lm_eval.utils.apply_template is before
