from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from jsonschema import ValidationError

from sequela.analysis import check_validity
from sequela.core.errors import SequelaError
from sequela.reports import markdown_page, write_report
from sequela.reports.report_data import read_report_data
from sequela.results import (
    EvaluationKey,
    Measurement,
    Plugin,
    Status,
    open_store,
    read_manifest,
    write_manifest,
)
from support.suites import SUITES
from support.tiers import quick_cases

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028 ' \" {{ 7*7 }} </td></details>"


class Page(HTMLParser):
    """The elements of a page as a browser parses them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "path":
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.text).append(data)

    @property
    def charts(self) -> list[dict[str, Any]]:
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def finished_page(finished_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a finished run, for reading only."""
    return write_report(finished_run(), tmp_path_factory.mktemp("page") / "report")


def values_of(chart: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in chart["datasets"].values() for row in rows]


def test_the_page_is_self_contained_and_well_formed(finished_page: Path) -> None:
    path = finished_page
    assert (path.parent.name, path.name) == ("report", "index.html")
    assert [child.name for child in path.parent.iterdir()] == ["index.html"]
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "img", "object", "base"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert path.stat().st_size < 3_000_000
    headings = "".join(page.text)
    for heading in (
        "Success at the edit",
        "Retention",
        "Abilities",
        "Safety",
        "Health",
        "Cost",
        "Method",
    ):
        assert heading in headings


def test_every_chart_is_valid_vega_lite(finished_page: Path) -> None:
    charts = Page(finished_page.read_text(encoding="utf-8")).charts
    assert len(charts) > 5
    for chart in charts:
        alt.TopLevelSpec.validate(chart)
    with pytest.raises(ValidationError):
        alt.TopLevelSpec.validate({**charts[0], "layer": "none"})


def test_hostile_text_is_escaped(run_writer: Callable, tmp_path: Path) -> None:
    run = run_writer(text=HOSTILE, name=HOSTILE).write()
    page = Page(write_report(run, tmp_path).read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 3
    assert page.open == []
    assert sum(text.count(HOSTILE) for text in page.text) > 10  # shown as it is
    assert "49" not in page.text


@pytest.mark.slow
def test_long_texts_are_shortened_on_the_page_only(run_writer: Callable, tmp_path: Path) -> None:
    long = "word " * 3_900
    run = run_writer(text=long).write()
    short = run_writer(text="word ").write()
    page, usual = (write_report(one, tmp_path / one.name).read_text(encoding="utf-8") for one in (run, short))
    assert "word word" in page
    assert max(map(len, Page(page).text)) < 5_000
    assert len(page) < len(usual) + 50_000


@pytest.mark.slow
def test_hostile_names_in_charts_are_escaped(run_writer: Callable, tmp_path: Path) -> None:
    writer = run_writer()
    writer.write()
    key = EvaluationKey(trajectory="x", n_edits=1, suite=HOSTILE, suite_version="1", model_hash="x")
    with open_store(writer.folder) as store:
        model = store.measurements()[0].model
    one = Measurement(
        model=model,
        editor=HOSTILE,
        edit_source="counterfact",
        order_seed=0,
        n_edits=1,
        suite=HOSTILE,
        task=HOSTILE,
        metric=HOSTILE,
        protocol=HOSTILE,
        value=0.5,
        n=3,
    )
    with open_store(writer.folder) as store:
        store.write_evaluation(key, [one])
    text = write_report(writer.folder, tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert page.open == []
    assert any(row.get("label") == HOSTILE for chart in page.charts for row in values_of(chart))


def test_only_our_scripts_may_run(finished_page: Path) -> None:
    page = Page(finished_page.read_text(encoding="utf-8"))
    policy = next(attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "script-src 'unsafe-eval' 'sha256-" in policy
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_a_complete_run_has_no_warning(finished_page: Path) -> None:
    page = Page(finished_page.read_text(encoding="utf-8"))
    alerts = [1 for _, attributes in page.elements if attributes.get("role") == "alert"]
    text = "".join(page.text)
    assert "incomplete" not in text
    assert len(alerts) == text.count("expresses none of")  # the few edits of this run have no effect


@pytest.mark.parametrize(
    "status", quick_cases([Status.RUNNING, Status.STOPPED, Status.FAILED], [Status.STOPPED])
)
def test_an_incomplete_run_has_a_warning(status: Status, run_writer: Callable, tmp_path: Path) -> None:
    text = write_report(run_writer().write(status, drop=4), tmp_path).read_text(encoding="utf-8")
    banner = re.search(r'role="alert">([^<]*)', text)
    assert banner is not None
    assert re.search(r"incomplete: \d+ of \d+ evaluations", banner[1])
    done, planned = map(int, re.findall(r"\d+", banner[1])[:2])
    assert planned - done == 4


def test_non_finite_logits_are_reported(run_writer: Callable, tmp_path: Path) -> None:
    text = write_report(run_writer().write(nonfinite=7), tmp_path).read_text(encoding="utf-8")
    banner = re.search(r'role="alert">([^<]*)', text)
    assert banner is not None
    assert "21 items in 3 of" in banner[1]
    assert "ft-m after 1, 2, 3 edits" in banner[1]


def test_items_longer_than_the_context_are_reported(run_writer: Callable, tmp_path: Path) -> None:
    text = write_report(run_writer().write(too_long=3), tmp_path).read_text(encoding="utf-8")
    banner = re.search(r'role="alert">([^<]*)', text)
    assert banner is not None
    assert "In 3 of" in banner[1]
    assert "were not run (perplexity: fixed_text, up to 3 of" in banner[1]


def test_every_finite_measurement_is_drawn_with_its_error(run_writer: Callable, tmp_path: Path) -> None:
    run = run_writer().write()
    page = Page(write_report(run, tmp_path).read_text(encoding="utf-8"))
    drawn = {
        (row["label"], row["n_edits"], row["value"])
        for chart in page.charts
        for row in values_of(chart)
        if "n_edits" in row
    }
    with open_store(run) as store:
        shown = [
            one
            for one in check_validity(store.measurements(), SUITES)
            if one.n_edits and one.value is not None
        ]
    assert len(shown) > 30
    for one in shown:
        if math.isfinite(one.value or 0):
            assert (one.label, one.n_edits, one.value) in drawn
    for chart in page.charts:
        for row in values_of(chart):
            if row.get("stderr") is not None:
                assert math.isclose(row["high"] - row["value"], 1.96 * row["stderr"])


def test_the_final_loss_is_that_of_the_last_step(finished_run: Callable[..., Path], tmp_path: Path) -> None:
    with open_store(finished_run()) as store:
        records = store.edit_records()
    rows = [row for one in read_report_data(finished_run()).trajectories for row in one.edits]
    assert len(rows) == len(records) == 9
    assert sorted(row.loss for row in rows) == sorted(f"{record.final_loss:.3g}" for record in records)
    assert any(f"{record.first_loss:.3g}" != f"{record.final_loss:.3g}" for record in records)


def test_every_cost_belongs_to_a_variant_and_has_a_color(
    finished_run: Callable[..., Path],
) -> None:
    contents = read_report_data(finished_run())
    methods = [label for label, _ in contents.legend]
    assert {label.partition(" (")[0] for label in methods} == {"rome", "ft-m"}
    assert len(methods) == 3
    with open_store(finished_run()) as store:
        assert {cost.label for cost in store.costs()} == {*methods, "unedited", ""}
    for step in ("statistics and contexts", "edit", "evaluate: builtin", "evaluate: edit_quality"):
        labels = {row.label for row in contents.costs if row.step == step}
        assert labels - {"unedited"} == set(methods), step
    assert {row.label for row in contents.costs if row.step == "load model"} == {""}
    chart = contents.cost_chart
    assert chart is not None
    scale = chart["encoding"]["color"]["scale"]
    drawn = {row["label"] for row in values_of(chart)}
    assert set(scale["domain"]) == drawn == {*methods, "unedited", "all methods"}
    colors = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len(set(colors.values())) == len(drawn)
    assert colors == dict(contents.cost_colors)
    assert {label: colors[label] for label in methods} == {
        label: stroke.color for label, stroke in contents.legend
    }


def test_a_run_of_an_earlier_version_is_reported(tmp_path: Path) -> None:
    """By commit 2ab7701 (see `tests/old_formats/make.py`)."""
    run = shutil.copytree(Path(__file__).parents[1] / "old_formats" / "run", tmp_path / "run")
    contents = read_report_data(run)
    with open_store(run) as store:
        losses = {f"{record.final_loss:.3g}" for record in store.edit_records()}
    assert {row.loss for one in contents.trajectories for row in one.edits} == losses
    assert {row.label for row in contents.costs} == {*(label for label, _ in contents.legend), "unedited", ""}
    assert "truthfulness" in {row.quantity.partition(":")[0] for row in contents.sections[1].numbers}
    assert write_report(run, tmp_path / "report").is_file()


def test_a_folder_that_is_no_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="no run"):
        write_report(tmp_path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_plug_in_packages_are_listed_with_their_versions(run_writer: Callable, tmp_path: Path) -> None:
    run = run_writer().write()
    assert "Plug-ins" not in markdown_page(run)
    plugins = [
        Plugin(kind=kind, name=name, distribution=f"sequela-{package}", version="1.2")
        for kind, name, package in (("suite", "zoo", "zoo"), ("editor", "aa", "aa"), ("engine", "ox", "zoo"))
    ]
    write_manifest(run, read_manifest(run).with_plugins(plugins))
    packages = "sequela-aa 1.2 (method aa); sequela-zoo 1.2 (suite zoo, engine ox)"
    assert f"* Plug-ins: {packages}" in markdown_page(run)
    assert f"<dt>Plug-ins</dt><dd>{packages}</dd>" in write_report(run, tmp_path / "page").read_text("utf-8")


STEERING = "a\x1b[2Jb\u202ed\x9be"


@pytest.mark.slow
def test_control_characters_reach_neither_the_page_nor_a_chart(run_writer: Callable, tmp_path: Path) -> None:
    run = run_writer(text=STEERING, name=STEERING).write()
    text = write_report(run, tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    shown = "".join(page.text)
    assert r"a\x1b[2Jb" in shown
    drawn = json.dumps(page.charts, ensure_ascii=False)
    for one in ("\x1b", "\u202e", "\x9b"):
        assert one not in shown
        assert one not in drawn
        assert json.dumps(one)[1:-1] not in text.partition("chart-data")[2]
    assert len(page.charts) > 5
    assert not set(markdown_page(run)) & set("\x1b\u202e\x9b")
