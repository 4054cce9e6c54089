"""Templates can't reach Python objects, and can't make something huge out of little."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.data_layout import DataLayout
from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE, apply_template, compiled_expression

DOCUMENT = {"a": "xyz", "some": [1, 2], "long": "a" * 1000}

REACHING = [
    "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}",
    "{{ lipsum.__globals__['os'].system('touch MARKER') }}",
    "{{ a.__class__.__mro__[1].__subclasses__() }}",
    "{{ a|attr('__class__') }}",
    "{{ a['__class__'] }}",
    "{{ '{0.__class__}'.format(a) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ namespace.__init__ }}",
    "{{ [a]|map(attribute='__class__')|join }}",
    "{{ some.append(3) }}",
    "{% include '/etc/hostname' %}",
    "{% import 'os' as os %}{{ os }}",
]
HUGE = [
    "{{ 'a' * 10000000 }}",
    "{{ 10000000 * [a] }}",
    "{{ 10 ** 100000 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 1000000000) }}",
    "{{ a.center(1000000000) }}",
    "{{ a|center(1000000000) }}",
    "{{ a|indent(1000000000) }}",
    "{{ a.zfill(1000000000) }}",
    "{{ range(1000000) }}",
    "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
    "{{ ('x' * 100000)|replace('x', 'y' * 100000) }}",
    "{% for i in range(99999) %}{{ long }}{{ long }}{% endfor %}",
]


@pytest.mark.parametrize("template", [*REACHING, *HUGE])
def test_what_a_template_must_not_do_is_an_error(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UNBUILDABLE):
        apply_template(template, DOCUMENT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ '%s %5d' % (a, 3) }}", "xyz     3"),
        ("{{ '{:>6}|{}'.format(a, 2) }}", "   xyz|2"),
        ("{{ a.center(9)|trim }}{{ a|indent(2, true) }}", "xyz  xyz"),
        ("{{ a.replace('x', 'q') }}{{ a|replace('y', '') }}", "qyzxz"),
        ("{{ 2 ** 10 }} {{ 7 % 4 }} {{ 'ab' * 3 }} {{ some * 2 }}", "1024 3 ababab [1, 2, 1, 2]"),
        ("{{ a.split('y')[-1].strip() }}{{ ', '.join(['p', 'q']) }}\n", "zp, q\n"),
        ("{% set n = namespace(i=0) %}{% for x in some %}{% set n.i = n.i + x %}{% endfor %}{{ n.i }}", "3"),
        ("{{ ('100% of 123456789 ' ~ a).strip() }}", "100% of 123456789 xyz"),
        ("{{ long.replace('a', 'bb')|length }}", "2000"),
    ],
)
def test_ordinary_templates_are_rendered(template: str, text: str) -> None:
    assert apply_template(template, DOCUMENT) == text


def test_expressions_are_sandboxed_too() -> None:
    assert compiled_expression("a.upper()")(**DOCUMENT) == "XYZ"
    layout = DataLayout.model_validate(
        {
            "format": "json_lines",
            "splits": {"test": {}},
            "fields": {"a": "text"},
            "row": {"b": "a.__class__.__mro__"},
        }
    )
    with pytest.raises(BadInputError, match=r"record 1: .*__class__.* is unsafe"):
        layout.item({"a": "x"}, "record 1")
