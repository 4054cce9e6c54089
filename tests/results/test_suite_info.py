"""Titles, sections and metrics come from the suites themselves."""

from __future__ import annotations

import pytest

from sequela.results import MetricInfo, Section, SuiteInfo, Suites, TaskInfo, TaskResult, Unit
from sequela.results.earlier_schema import suites_of_4
from sequela.results.metrics import edit_metric
from sequela.results.suite_info import edit_quality_info
from support.suites import SUITES


def result(
    suite: str, task: str, group: str = "", metric: str = "accuracy", protocol: str = "loglikelihood"
) -> TaskResult:
    return TaskResult(suite=suite, task=task, group=group, metric=metric, protocol=protocol, value=0.5, n=10)


@pytest.mark.parametrize("suites", [SUITES, suites_of_4()], ids=["today's", "of an earlier run"])
def test_sections_and_titles_of_built_in_suites(suites: Suites) -> None:
    sections = {
        ("edit_quality", "retention@n", "", "efficacy"): Section.EDITS,
        ("alarms", "alarms", "", "perplexity"): Section.HEALTH,
        ("builtin", "reading"): Section.ABILITIES,
        ("builtin", "truthfulness"): Section.SAFETY,
        ("perplexity", "fixed_text", "", "loss"): Section.HEALTH,
        ("refusal", "refusal_harmful", "", "declined"): Section.SAFETY,
        ("mmlu", "mmlu_anatomy@1", "mmlu"): Section.ABILITIES,
        ("toxigen", "toxigen@1"): Section.SAFETY,
        ("truthfulqa", "truthfulqa_mc2@1"): Section.SAFETY,
        ("a_suite_from_elsewhere", "task"): Section.ABILITIES,
    }
    assert {place: suites.section_of(result(*place)) for place in sections} == sections
    titles = {
        ("mmlu", "mmlu_anatomy@1", "mmlu"): "MMLU anatomy (v1)",
        ("mmlu", "mmlu@1", "mmlu"): "MMLU (v1)",
        ("truthfulqa", "truthfulqa_mc1_local@1", "truthfulqa_mc1"): "TruthfulQA MC1 local (v1)",
        ("builtin", "world_knowledge"): "world knowledge",
        ("edit_quality", "success@edit"): "success@edit",
    }
    assert {place: suites.title_of(result(*place)) for place in titles} == titles
    assert suites.suite_title("truthfulqa") == "TruthfulQA"


def test_a_task_takes_title_and_section_from_its_group() -> None:
    tasks = {
        "sums": TaskInfo(title="Sums"),
        "sums_hard": TaskInfo(title="Hard sums", section=Section.HEALTH),
    }
    suites = Suites({"sums": SuiteInfo(section=Section.SAFETY, tasks=tasks)})
    hard = result("sums", "sums_hard_odd@2", group="sums_hard")
    assert (suites.title_of(hard), suites.section_of(hard)) == ("Hard sums odd (v2)", Section.HEALTH)
    assert suites.section_of(result("sums", "sums_easy@2", group="sums")) is Section.ABILITIES
    alone = result("sums", "sums_easy@2")
    assert (suites.title_of(alone), suites.section_of(alone)) == ("sums easy (v2)", Section.SAFETY)
    other = result("sums", "oddities", group="sums")
    assert suites.title_of(other) == "Sums oddities"


def test_a_suite_can_define_its_own_metrics() -> None:
    own = MetricInfo(
        name="latency", title="Latency", unit=Unit.SECONDS, higher_is_better=False, section=Section.HEALTH
    )
    suites = Suites({"mine": SuiteInfo(section=Section.SAFETY, metrics={"latency": own})})
    assert suites.metric_of(result("mine", "task", metric="latency")) == own
    assert suites.section_of(result("mine", "task", metric="latency")) is Section.HEALTH
    assert suites.section_of(result("mine", "task")) is Section.SAFETY
    assert suites.metric("other", "latency") == MetricInfo(name="latency")


def test_edit_quality_includes_metrics_of_packages() -> None:
    doubt = edit_metric("doubt", "the edited question, asked doubtfully")
    suites = Suites({"edit_quality": edit_quality_info([doubt])})
    asked = result("edit_quality", "retention@n", metric="doubt")
    assert (suites.metric_of(asked).is_share, suites.section_of(asked)) == (True, Section.EDITS)
    assert suites.meanings([asked]) == [("retention@n", "measured at a checkpoint, for all edits so far")]
