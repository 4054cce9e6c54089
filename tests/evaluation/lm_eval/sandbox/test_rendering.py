"""Templates can't reach Python objects, and can't make something huge out of little."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import lm_eval.utils
import pytest
import yaml
from jinja2 import TemplateRuntimeError, TemplateSyntaxError

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.catalog import definitions_folder
from sequela.evaluation.lm_eval.data_layout import DataLayout
from sequela.evaluation.lm_eval.sandbox import budget
from sequela.evaluation.lm_eval.sandbox.budget import LimitError
from sequela.evaluation.lm_eval.sandbox.rendering import (
    UNBUILDABLE,
    apply_template,
    check_syntax,
    compiled_expression,
    template_fields,
)

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
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ ('%(x)s' * 100000) % {'x': 'y' * 10000} }}",
    "{{ ('{0}' * 100000).format('x' * 10000) }}",
    "{{ a.ljust(1000000000) }}{{ a.rjust(1000000000, 'b') }}",
    "{{ 'x'.join(['y' * 1000000] * 1000) }}",
    "{{ (['y' * 1000000] * 1000)|join }}",
    "{{ range(10000)|map('string')|join('x' * 100000) }}",
    "{{ ('ab,' * 3000000).split(',')|length }}",
    "{{ ('a\n' * 4000000).splitlines()|length }}",
    "{{ ('a\n' * 100000)|indent(100000) }}",
    "{{ [1]|tojson(indent=1000000000) }}",
    "{{ some|batch(1000000000, 0)|list }}",
    "{{ some|slice(1000000000)|list }}",
    "{{ 3.5|round(1000000000, 'ceil') }}",
    "{{ 2 ** 4000 * 2 ** 4000 }}",
    "{{ (5).to_bytes(2000000000) }}",
    "{{ range(100000)|sum(start=[]) }}",
    "{{ 'x'|truncate(3, end='y' * 30000000) }}",
    "{{ 'a\t'.expandtabs(1000000000) }}",
    "{{ 'a'.translate({97: 'b' * 1000000}) }}",
    "{{ ('<' * 10000000)|escape }}",
    "{{ ('a' * 30)|regex_replace('(a+)+$', '') }}",
    "{{ ('a' * 3000)|regex_replace('a*a*a*b', '') }}",
    "{{ ('a' * 30)|regex_replace('a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?b', '') }}",
    "{{ ('a' * 30)|regex_replace('(?x) # [\n(a+)+$ # ]', '') }}",
    "{{ 1e999 }}",
    "{{ range(30000)|list }}",
]
ENDLESS = [
    "{% for i in range(20000) %}{% for j in range(20000) %}{% endfor %}{% endfor %}",
    "{% for i in range(20000) %}{% for j in range(20000) if false %}{% endfor %}{% endfor %}",
    "{% for i in range(20000) %}{% for j in range(20000) %}{{ loop.length }}{% endfor %}{% endfor %}",
    "{% for i in range(20000) %}{% for j in range(20000) %}a constant text{% endfor %}{% endfor %}",
    "{% for i in range(20000) %}{% for c in long %}{% set p, q = c, c %}{% endfor %}{% endfor %}",
    "{% for i in range(20000) %}{% if not a and not a %}{% elif a == long %}{% endif %}{% endfor %}",
    "{% for i in range(20000) %}{% set x = long[1:] %}{% endfor %}",
    "{% for i in range(20000) %}{% if 'b' in long %}{% endif %}{% endfor %}",
    "{% for i in range(20000) %}{% set x = some|sort|map('string')|join %}{% endfor %}",
    "{% for i in range(20000) %}{{ loop.changed(long) }}{% endfor %}",
    "{% set n = namespace(x=a) %}{% for i in range(40) %}{% set n.x = n.x~n.x %}{% endfor %}{{ n.x|length }}",
    "{% set n = namespace(x=a) %}{% for i in range(40) %}{% set n.x = n.x+n.x %}{% endfor %}{{ n.x|length }}",
    "{% set n = namespace(x=some) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% set n = namespace(x=1) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x=1) %}{% for i in range(40) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ n.x==1 }}",
    "{% set n = namespace(x=1) %}{% for i in range(40) %}{% set n.x = dict(p=n.x, q=n.x) %}{% endfor %}",
    "{% set n = namespace(x=1) %}{% for i in range(40) %}{% set n.x = {'p': n.x, 'q': n.x} %}{% endfor %}",
    "{% set n = namespace(x=1) %}{% for i in range(99) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x=some) %}{% for i in range(9999) %}{% set n.x = n.x|map('abs') %}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "{% set x %}{% for i in range(99999) %}a constant text{% endfor %}{% endset %}",
    "{% filter upper %}{% for i in range(99999) %}a constant text{% endfor %}{% endfilter %}",
    "{% macro f() %}{% for i in range(99999) %}a constant text{% endfor %}{% endmacro %}{% set x = f() %}",
    "{{ range(100000)|map('string')|map('upper')|map('length')|list|length }}",
    "{% for i in range(20000) %}{{ some|select('odd')|list|length }}{% endfor %}",
]
NESTED = [
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "{{ " + "1 + " * 9000 + "1 }}",
    "{{ " + "not " * 9000 + "1 }}",
    "{{ a" + "|upper" * 6000 + " }}",
    "{{ a" + ".b" * 9000 + " }}",
    "{% if a %}" * 5000 + "{% endif %}" * 5000,
    "{% if a %}" + "{% elif a %}" * 3000 + "{% endif %}",
    "{{ a }}" * 20000,
    "a" * 1_000_001,
    "{% for x in [some] recursive %}{{ loop(x) }}{% endfor %}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% autoescape 'a' * 1000000000 %}{% endautoescape %}",
]


@pytest.mark.parametrize("template", [*REACHING, *HUGE])
def test_what_a_template_must_not_do_is_an_error(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UNBUILDABLE):
        apply_template(template, DOCUMENT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("template", ENDLESS)
def test_a_rendering_has_a_budget(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that is endless, or grows without bound, ends with the limit; here with a lower one."""
    monkeypatch.setattr(budget, "MOST_WORK", 200_000)
    with pytest.raises(LimitError, match=r"^the template ['\"]\{.*['\"] is too large: it "):
        apply_template(template, DOCUMENT)


@pytest.mark.parametrize(
    "template",
    [
        "{{ a.upper }}",
        "{{ range }}",
        "{{ namespace }}",
        "{{ namespace(x=1) }}",
        "{{ self }}",
        "{{ [a.upper] }}",
        "{{ {'a': dict} }}",
        "{{ a.upper ~ '.' }}",
        "{{ '%s' % a.upper }}",
        "{{ '{}'.format(a.upper) }}",
        "{{ a.upper|string }}",
        "{{ [a.upper]|join }}",
        "{{ ' '.join([a.upper]) }}",
        "{{ (a.upper, 1)[0] }}",
        "{{ some|map('string') }}",
        "{{ (some|map('string')) ~ '' }}",
        "{{ some|map('string')|string }}",
        "{{ '{}'.format(some|map('string')) }}",
        "{{ range(2) }}",
        "{% macro m() %}{% endmacro %}{{ m }}",
        "{% for i in some %}{{ loop }}{% endfor %}",
        "{% set m = (long|tojson).upper %}{% set n = namespace(x=[m]) %}{{ n.x + n.x }}",
    ],
)
def test_what_has_no_text_of_its_own_is_not_written(template: str) -> None:
    """Python would write its address in memory, which differs from process to process."""
    with pytest.raises(TemplateRuntimeError, match=r"without calling it|no text, number, list or object"):
        apply_template(template, DOCUMENT)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ [a, 1, 2.5, none, true, {'b': (1, 2)}] }}", "['xyz', 1, 2.5, None, True, {'b': (1, 2)}]"),
        ("{{ range(2)|list }}{{ range(3)|join }}{{ range(4)|length }}", "[0, 1]0124"),
        ("{{ some|map('string')|join('-') }}{{ missing|default(a) }}{{ a.upper() }}", "1-2xyzXYZ"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(a) }}{{ m(a)|upper }}", "<xyz><XYZ>"),
    ],
)
def test_plain_values_are_written_as_python_writes_them(template: str, text: str) -> None:
    assert apply_template(template, DOCUMENT) == text


@pytest.mark.slow
@pytest.mark.parametrize("template", [*ENDLESS, *HUGE])
def test_no_template_takes_much_memory(template: str) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(*UNBUILDABLE):
            apply_template(template, DOCUMENT)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("template", NESTED)
def test_what_cannot_be_compiled_is_an_error_of_syntax(template: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        check_syntax(template)


@pytest.mark.parametrize("template", HUGE)
def test_nothing_is_evaluated_while_a_template_is_compiled(template: str) -> None:
    with contextlib.suppress(TemplateSyntaxError):
        check_syntax(template)
        template_fields(template)


def _templates(value: object) -> Iterator[str]:
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _templates(inner)


class _Data(yaml.SafeLoader):
    """Reads a definition without the code that it names."""


_Data.add_multi_constructor("!", lambda loader, suffix, node: None)

FIELDS = ("Some text. ", ["ab", "cd "], 2, {"text": ["p", "q"], "label": ["A", "B"]}, "3", True, None)


@pytest.mark.slow
def test_the_templates_of_the_harness_are_rendered_as_in_the_harness() -> None:
    """All of them, with fields of each kind: the same text, or an error in both."""
    files = [path for path in definitions_folder().rglob("*") if path.is_file() and "yaml" in path.name]
    found: set[str] = set()
    for path in files:
        with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError):
            found |= {*_templates(yaml.load(path.read_text(encoding="utf-8"), Loader=_Data))}
    assert len(found) > 1000
    for template in sorted(found):
        try:
            fields = template_fields(template)
        except TemplateSyntaxError:
            continue  # a prompt of code in braces
        for value in FIELDS:
            document = dict.fromkeys(fields, value)
            try:
                expected = lm_eval.utils.apply_template(template, document)
            except UNBUILDABLE:
                with pytest.raises(UNBUILDABLE):
                    apply_template(template, document)
            else:
                assert apply_template(template, document) == expected


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
        ("{% for x in some if x > 1 %}{{ loop.index }}/{{ loop.length }}: {{ x }}{% endfor %}", "1/1: 2"),
        ("{% for x in [] %}{% else %}none{% endfor %}{{ some[:1] }}{{ some[some|length - 1] }}", "none[1]2"),
        (
            "{% macro f(x, y=2) %}{{ x }}{{ y }}{{ caller() }}{% endmacro %}{% call f(1) %}!{% endcall %}",
            "12!",
        ),
        ("{% set x %}{% filter upper %}q{% endfilter %}{% endset %}{{ x ~ 1 ~ none }}", "Q1None"),
        ("{% for k, v in {'p': 1}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'p': 1}.get('q', 2) }}", "p12"),
        (
            "{{ some|map('string')|join('-') }}{{ [3, 1]|sort }}{{ some|sum }}{{ some|tojson }}",
            "1-2[1, 3]3[1, 2]",
        ),
        ("{{ some|select('odd')|list }}{{ 1 if a is defined and a == 'xyz' else 2 }}", "[1]1"),
        ("{{ [{'k': 1, 'v': 2}]|groupby('k')|map(attribute='grouper')|list }}", "[1]"),
        ("{{ 'a [note] b'|regex_replace('[^a-z ]|note', '') }}", "a  b"),
        ("{{ 1 < 2 < 3 }}{{ 2 not in some }}{{ -1 }}{{ 7 // 2 }}", "TrueFalse-13"),
        ("{{ ('word ' * 100000)|length }}{{ ('word ' * 100000).split()|length }}", "500000100000"),
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


@pytest.mark.parametrize(
    "pattern", ["(", "[", "a{2,1}", "*", "\\\\", "x(?P=n)", "a{99999999999999}", "(?<=a*)b", "**", "\\\\q"]
)
def test_a_pattern_that_is_none_is_an_error_of_the_template(pattern: str) -> None:
    with pytest.raises(UNBUILDABLE):
        apply_template("{{ a|regex_replace('" + pattern + "', 'b') }}", DOCUMENT)


@pytest.mark.parametrize("replacement", ["\\\\1", "\\\\g<x>", "\\\\g<", "\\\\q"])
def test_a_replacement_that_names_no_group_is_an_error_of_the_template(replacement: str) -> None:
    with pytest.raises(TemplateRuntimeError, match=r"the pattern 'y' can't be replaced by"):
        apply_template("{{ a|regex_replace('y', '" + replacement + "') }}", DOCUMENT)


def _of_code(code: int) -> Iterator[str]:
    escape = f"\\u{code:04x}"
    yield "{{ '" + escape + "' }}"
    yield "{{ '%c'|format(" + str(code) + ") }}{{ a }}"
    yield "{{ '%c' % " + str(code) + " }}"
    yield "{{ '{:c}'.format(" + str(code) + ") }}"
    yield "{% set x %}{{ '" + escape + "' }}{% endset %}{{ x }}"
    yield "{{ ['q', '" + escape + "']|join }}"


@pytest.mark.parametrize("template", [*_of_code(0xD800), *_of_code(0xDFFF), *_of_code(0)])
def test_a_character_that_nothing_can_use_is_not_written(template: str) -> None:
    with pytest.raises(TemplateRuntimeError, match=r"it writes (half of a surrogate pair|a NUL character)"):
        apply_template(template, DOCUMENT)


def test_a_nul_of_a_published_record_is_written_as_it_is() -> None:
    assert apply_template("{{ a }}", {"a": "x\0y"}) == "x\0y"
    assert apply_template("{{ '\\u00e9' }}{{ '%c' % 128512 }}", DOCUMENT) == "é😀"
