"""Titles and sections come from the suites themselves."""

from __future__ import annotations

import pytest

from sequela.results import Section, SuiteInfo, Suites, TaskInfo
from sequela.results.earlier_schema import suites_of_4
from support.suites import SUITES


@pytest.mark.parametrize("suites", [SUITES, suites_of_4()], ids=["today's", "of an earlier run"])
def test_sections_and_titles_of_what_comes_with_the_program(suites: Suites) -> None:
    sections = {
        ("edit_quality", "retention@n"): Section.EDITS,
        ("alarms", "perplexity"): Section.HEALTH,
        ("builtin", "reading"): Section.ABILITIES,
        ("builtin", "truthfulness"): Section.SAFETY,
        ("perplexity", "fixed_text"): Section.HEALTH,
        ("refusal", "declined"): Section.SAFETY,
        ("mmlu", "mmlu_anatomy@1"): Section.ABILITIES,
        ("toxigen", "toxigen@1"): Section.SAFETY,
        ("truthfulqa", "truthfulqa_mc2@1"): Section.SAFETY,
        ("a_suite_from_elsewhere", "task"): Section.ABILITIES,
    }
    assert {place: suites.section_of(*place) for place in sections} == sections
    titles = {
        "mmlu_anatomy@1": "MMLU anatomy (v1)",
        "mmlu@1": "MMLU (v1)",
        "truthfulqa": "TruthfulQA",
        "truthfulqa_mc1_local@1": "TruthfulQA MC1 local (v1)",
        "world_knowledge": "world knowledge",
    }
    assert {name: suites.words(name) for name in titles} == titles


def test_a_part_follows_the_longest_name_that_it_begins_with() -> None:
    tasks = {
        "sums": TaskInfo(title="Sums"),
        "sums_hard": TaskInfo(title="Hard sums", section=Section.HEALTH),
    }
    suites = Suites({"sums": SuiteInfo(section=Section.SAFETY, tasks=tasks)})
    assert suites.words("sums_hard_odd@2") == "Hard sums odd (v2)"
    assert suites.section_of("sums", "sums_hard_odd@2") is Section.HEALTH
    assert suites.section_of("sums", "sums_easy@2") is Section.ABILITIES
    assert suites.section_of("sums", "summit@2") is Section.SAFETY
