"""Edit quality: did the edit take, does it carry over, does it leave other facts alone?

Two columns are kept apart and never mixed:

* `success@edit`: measured right after the edit's own batch.
* `retention@n`: measured at the checkpoint after n edits, for all of them.

Three protocols, always by name:

* `free_decoding`: the model continues the prompt greedily, ends where it ends, and its text must
  begin with the answer. No length or content of the target is given away.
* `teacher_forced`: the share of the answer's tokens that are the most likely next token when all
  earlier answer tokens are given. This leaks content and length of the target (the literature's
  `rewrite_acc`; see arXiv 2502.11177) and is reported for comparison only.
* `probability`: whether the mean log-probability per token of one answer is above the other's
  (the literature's ES, PS and NS).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from sequela.edits import Edit
from sequela.evaluation.trouble import all_finite, longest_refused
from sequela.ground.progress import SILENT, Progress
from sequela.inference import (
    Engine,
    Generation,
    GenerationRequest,
    Score,
    generation_request,
    score_request,
)
from sequela.models import EditedModel
from sequela.results import Finding, ItemRecord, finding_from_items

SUITE = "edit_quality"
SUCCESS_AT_EDIT = "success@edit"
RETENTION_AT_N = "retention@n"

Answers = Mapping[str, str]
"""What a model said, by prompt."""


class EditQualitySettings(BaseModel):
    """How edit quality is measured.

    Args:
        max_new_tokens: Where free decoding ends if the model doesn't end it; the same for every target.
        max_neighborhood: Most neighborhood prompts per edit, the first ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(default=16, ge=1)
    max_neighborhood: int = Field(default=5, ge=0)


@dataclass(frozen=True)
class _Probe:
    """One prompt of one edit: `expected` is to win over `rival`."""

    metric: str
    prompt: str
    expected: str | None
    rival: str | None


def says(text: str, answer: str) -> bool:
    """Whether a generated text begins with an answer.

    Case, unicode form, leading punctuation and a leading article don't count; the answer must end
    where a word or a number ends, in scripts that write spaces between words.
    """
    said, wanted = _bare(text), _bare(answer)
    answers = {wanted, _without_article(wanted)} - {""}
    return any(_begins(form, one) for form in (said, _without_article(said)) for one in answers)


def measure_edits(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    task: str,
    settings: EditQualitySettings,
    before: Answers | None = None,
    progress: Progress = SILENT,
) -> list[ItemRecord]:
    """Measures every edit on a model.

    Args:
        model: The model, with whatever edits are in force.
        engine: What runs it.
        edits: The edits to ask about.
        task: `success@edit` or `retention@n`.
        settings: How to measure.
        before: What the unedited model said to the neighborhood prompts; with it, `agreement` is measured.
        progress: Who is told.

    Returns:
        One record per edit, metric and protocol; its value is the mean over the edit's prompts, so
        that prompts of one edit, which stand or fall together, don't pass for independent items.
    """
    asked = [(edit, probe) for edit in edits for probe in _probes(edit, settings)]
    generations = engine.generate(
        model,
        [_generation(model, probe.prompt, settings) for _, probe in asked],
        progress,
    )
    pairs = [(i, answer) for i, (_, p) in enumerate(asked) for answer in (p.expected, p.rival) if answer]
    requests = [score_request(model, asked[i][1].prompt, answer) for i, answer in pairs]
    scores = dict(zip(pairs, engine.score(model, requests, progress), strict=True))

    outcomes: dict[tuple[str, str, str], list[_Outcome]] = defaultdict(list)
    for i, (edit, probe) in enumerate(asked):
        expected = scores[(i, probe.expected)] if probe.expected else None
        rival = scores[(i, probe.rival)] if probe.rival else None
        for protocol, outcome in _judge(probe, generations[i], expected, rival, before):
            outcomes[(edit.id, probe.metric, protocol)].append(outcome)
    return [
        _record(task, edit_id, metric, protocol, found)
        for (edit_id, metric, protocol), found in outcomes.items()
    ]


def neighborhood_answers(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    settings: EditQualitySettings,
    progress: Progress = SILENT,
) -> Answers:
    """What a model says to the neighborhood prompts of edits; asked of the unedited model."""
    prompts = [p.prompt for e in edits for p in _probes(e, settings) if p.metric == "neighborhood"]
    prompts = list(dict.fromkeys(prompts))
    requests = [_generation(model, prompt, settings) for prompt in prompts]
    generations = engine.generate(model, requests, progress)
    return {prompt: generation.text for prompt, generation in zip(prompts, generations, strict=True)}


def findings(records: Iterable[ItemRecord], notes: Mapping[str, str] | None = None) -> list[Finding]:
    """Means over the edits, one finding per task, metric and protocol.

    Args:
        records: What `measure_edits` returned.
        notes: Per task, what a reader of its findings must know.
    """
    told = notes or {}
    groups: dict[tuple[str, str, str], list[ItemRecord]] = defaultdict(list)
    for record in records:
        groups[(record.task, record.metric, record.protocol)].append(record)
    return [finding_from_items(group, told.get(task, "")) for (task, _, _), group in groups.items()]


@dataclass(frozen=True)
class _Outcome:
    value: float
    finite: bool
    refused: int | None
    probe: _Probe
    answer: str
    details: dict[str, float]


def _probes(edit: Edit, settings: EditQualitySettings) -> list[_Probe]:
    probes = [_Probe("efficacy", edit.question, edit.target_new, edit.target_true)]
    probes += [_Probe("paraphrase", text, edit.target_new, edit.target_true) for text in edit.paraphrases]
    for probe in edit.neighborhood[: settings.max_neighborhood]:
        probes.append(_Probe("neighborhood", probe.prompt, probe.answer, edit.target_new))
    return probes


def _judge(
    probe: _Probe,
    generation: Generation,
    expected: Score | None,
    rival: Score | None,
    before: Answers | None,
) -> Iterable[tuple[str, _Outcome]]:
    """The verdict of each protocol on one prompt; no answer that isn't a number or was refused ever wins."""
    details: dict[str, float] = {}
    if expected is not None:
        details["mean_logprob_expected"] = expected.mean_logprob
    if rival is not None:
        details["mean_logprob_rival"] = rival.mean_logprob

    def outcome(value: float, *answers: Score | Generation) -> _Outcome:
        counted = value if all(answer.finite for answer in answers) else 0.0
        finite, refused = all_finite(answers), longest_refused(answers)
        return _Outcome(counted, finite, refused, probe, generation.text, details)

    if probe.expected is not None and expected is not None:
        yield "free_decoding", outcome(float(says(generation.text, probe.expected)), generation)
        share = sum(expected.token_greedy) / len(expected.token_greedy)
        yield "teacher_forced", outcome(share, expected)
        if rival is not None:
            wins = expected.mean_logprob > rival.mean_logprob
            yield "probability", outcome(float(wins), expected, rival)
    if probe.metric == "neighborhood" and before is not None:
        same = _plain(generation.text) == _plain(before[probe.prompt])
        yield "agreement", outcome(float(same), generation)


def _record(task: str, edit_id: str, metric: str, protocol: str, outcomes: Sequence[_Outcome]) -> ItemRecord:
    first = outcomes[0]
    return ItemRecord(
        suite=SUITE,
        task=task,
        metric=metric,
        protocol=protocol,
        item=edit_id,
        value=sum(outcome.value for outcome in outcomes) / len(outcomes),
        finite=all(outcome.finite for outcome in outcomes),
        refused=max((outcome.refused for outcome in outcomes if outcome.refused is not None), default=None),
        prompt=first.probe.prompt,
        answer=first.answer,
        expected=first.probe.expected or "",
        details={
            "prompts": [
                {
                    "prompt": o.probe.prompt,
                    "answer": o.answer,
                    "value": o.value,
                    "refused": o.refused,
                    **_json_safe(o.details),
                }
                for o in outcomes
            ]
        },
    )


def _json_safe(details: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers that JSON has; minus infinity, the score of what is not a number, becomes null."""
    return {name: value if value > float("-inf") else None for name, value in details.items()}


def _generation(model: EditedModel, prompt: str, settings: EditQualitySettings) -> GenerationRequest:
    return generation_request(model, prompt, settings.max_new_tokens)


_LEADING = re.compile(r"^(?:(?![-−]\d)[\W_])+")
"""Punctuation and spaces before the first word; the sign of a number is a part of it."""
_ARTICLE = re.compile(r"^(?:the|an?)\s+")
_NUMBER_GOES_ON = re.compile(r"[.,]\d")
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts without spaces between words, as their characters' Unicode names begin."""


def _plain(text: str) -> str:
    return _without_article(_bare(text))


def _bare(text: str) -> str:
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _LEADING.sub("", folded)


def _without_article(bare: str) -> str:
    return _LEADING.sub("", _ARTICLE.sub("", bare))


def _begins(said: str, wanted: str) -> bool:
    """Whether `said` begins with `wanted`, and `wanted` doesn't end inside a word or number."""
    if not said.startswith(wanted):
        return False
    rest, last = said[len(wanted) :], wanted[-1]
    if last.isdigit() and _NUMBER_GOES_ON.match(rest):
        return False
    if unicodedata.name(last, "").startswith(_UNSPACED):
        return True
    return not (rest and _in_word(rest[0]) and _in_word(last))


def _in_word(character: str) -> bool:
    """Letters, digits, and the marks that many scripts write vowels with."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
