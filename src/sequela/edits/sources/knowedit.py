"""KnowEdit (Zhang et al. 2024, arXiv:2401.01286): Wikidata counterfactuals, recent facts, ZsRE.

Its two kinds of locality probes, relation specificity and forgetfulness, both become
`neighborhood`; its three kinds of portability all become `portability`. Unlike in CounterFact,
the neighborhood is mostly about the *same* subject: other relations, or further right answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import field_validator, model_validator

from sequela.edits.edit import Edit, Probe
from sequela.edits.sources.hub import HubFile
from sequela.edits.sources.records import Record, RecordSchema, locate_subject, nonempty_target
from sequela.edits.sources.source import Source

NO_ANSWER = "<|endoftext|>"
"""The text that EasyEdit uses for an unknown true answer."""


class ProbeLists(RecordSchema):
    """Probes as two parallel lists; the other published form, a list of pairs, is converted to it."""

    prompt: tuple[str, ...]
    ground_truth: tuple[str, ...]

    @field_validator("prompt", mode="before")
    @classmethod
    def _prompts(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("ground_truth", mode="before")
    @classmethod
    def _first_answers(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [value]
        return [_first_text(answer) for answer in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _same_length(self) -> ProbeLists:
        if len(self.prompt) != len(self.ground_truth):
            raise ValueError(f"has {len(self.prompt)} prompts and {len(self.ground_truth)} answers")
        return self

    def probes(self) -> Iterator[Probe]:
        """Yields the probes that have a prompt and an answer; published lists have empty entries."""
        for prompt, answer in zip(self.prompt, self.ground_truth, strict=True):
            if prompt.strip() and answer.strip():
                yield Probe(prompt=prompt, answer=answer)


ProbeKinds = dict[str, ProbeLists]


class KnowEditRecord(RecordSchema):
    """A record of KnowEdit, or of the requests that EasyEdit derived from it."""

    prompt: str
    subject: str
    target_new: str
    ground_truth: str | None = None
    case_id: int | None = None
    rephrase: tuple[str, ...] = ()
    rephrase_prompt: str | None = None
    portability: ProbeKinds
    locality: ProbeKinds

    @field_validator("ground_truth", mode="before")
    @classmethod
    def _known_answer(cls, value: Any) -> Any:
        text = _first_text(value) if isinstance(value, list) else value
        return None if text in (NO_ANSWER, "") else text

    @field_validator("rephrase", mode="before")
    @classmethod
    def _rephrases(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("portability", "locality", mode="before")
    @classmethod
    def _in_parallel_lists(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {kind: _as_lists(probes) for kind, probes in value.items()}

    def to_edit(self, number: int, source: str) -> Edit:
        """Returns the record as an edit; without a case id, its index from 0 is the id."""
        prompt, subject = locate_subject(self.prompt, self.subject)
        rephrases = self.rephrase or ((self.rephrase_prompt,) if self.rephrase_prompt else ())
        return Edit(
            id=str(number - 1 if self.case_id is None else self.case_id),
            subject=subject,
            prompt=prompt,
            target_new=nonempty_target(self.target_new),
            target_true=self.ground_truth,
            paraphrases=rephrases,
            neighborhood=_all_probes(self.locality),
            portability=_all_probes(self.portability),
            source=source,
        )


def parse_knowedit(record: Record, source: str) -> Edit:
    """Converts a record to an edit."""
    return KnowEditRecord.model_validate(record.content).to_edit(record.number, source)


def _all_probes(kinds: ProbeKinds) -> tuple[Probe, ...]:
    return tuple(probe for lists in kinds.values() for probe in lists.probes())


def _as_lists(probes: Any) -> Any:
    if isinstance(probes, list) and all(isinstance(probe, dict) for probe in probes):
        return {
            "prompt": [_first_text(probe.get("prompt")) for probe in probes],
            "ground_truth": [_first_text(probe.get("ground_truth")) for probe in probes],
        }
    return probes


def _first_text(value: Any) -> str:
    """Returns the first text in nested lists of aliases; empty if there is none."""
    while isinstance(value, list):
        value = value[0] if value else ""
    return "" if value is None else str(value)


_HUB_REPOSITORY = "zjunlp/KnowEdit"

_WIKI_COUNTERFACT = Source(
    name="knowedit-wiki_counterfact",
    about="KnowEdit: false Wikidata facts with locality and portability",
    license="MIT",
    parse=parse_knowedit,
    files=(
        "knowedit/benchmark/wiki_counterfact/test_cf.json",
        "knowedit/wiki_counterfact_test_requests.json",
    ),
    hub=HubFile(_HUB_REPOSITORY, "benchmark/wiki_counterfact/test_cf.json"),
)

KNOWEDIT_SOURCES = (
    replace(_WIKI_COUNTERFACT, name="knowedit", about="An alias of knowedit-wiki_counterfact"),
    _WIKI_COUNTERFACT,
    Source(
        name="knowedit-wiki_recent",
        about="KnowEdit: Wikidata facts newer than most models",
        license="MIT",
        parse=parse_knowedit,
        files=("knowedit/benchmark/wiki_recent/recent_test.json",),
        hub=HubFile(_HUB_REPOSITORY, "benchmark/wiki_recent/recent_test.json"),
    ),
    Source(
        name="knowedit-zsre",
        about="KnowEdit: ZsRE questions with locality and portability",
        license="MIT",
        parse=parse_knowedit,
        files=("knowedit/benchmark/ZsRE/ZsRE-test-all.json", "knowedit/zsre_test_requests.json"),
        hub=HubFile(_HUB_REPOSITORY, "benchmark/ZsRE/ZsRE-test-all.json"),
    ),
)
