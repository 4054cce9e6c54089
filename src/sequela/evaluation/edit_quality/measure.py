"""Edit quality: success, generalization, retention and locality of edits.

There are two tasks, whose results are never mixed:

* `success@edit`: measured right after the edit's own batch.
* `retention@n`: measured at the checkpoint after n edits, for all of them that no later edit of the same
  question has superseded.

The prompts are defined in `probes`. The protocols are:

* `free_decoding`: the model continues the prompt greedily until it ends the text itself or reaches the
  limit, and its text must begin with the answer. Neither length nor content of the target is leaked.
* `teacher_forced`: the share of the answer's tokens that are the most likely next token when all
  earlier answer tokens are given. This leaks content and length of the target (the literature's
  `rewrite_acc`; see arXiv 2502.11177) and is reported for comparison only.
* `probability`: whether the mean log-probability per token of one answer is above the other's
  (the literature's ES, PS and NS). It has no value if the two answers are the same.
* `agreement`: whether the model gives the same answer as the unedited model.
* `hits`: whether a memory-based or in-context method found one of its edits for the prompt. It should for an
  edit's own prompts and should not for its neighbors. Other methods don't have this protocol.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.control_answers import without_control_answers
from sequela.edits import Edit, EditsInForce
from sequela.edits.questions import same_answer
from sequela.evaluation.answer_status import all_finite, longest_too_long, longest_unfinished
from sequela.evaluation.edit_quality.answer_matching import normalize_answer, starts_with_answer
from sequela.evaluation.edit_quality.left_out import (
    count_results,
    count_unasked,
    is_count,
    left_out_note,
    select_probes,
    unasked_note,
    without_items,
)
from sequela.evaluation.edit_quality.plugin_metrics import OWN_METRICS, PROBE_REGISTRY
from sequela.evaluation.edit_quality.probes import EditQualitySettings, ProbePrompt, probes_of
from sequela.evaluation.edit_quality.text_quality import result_of_texts
from sequela.inference import (
    Engine,
    Generation,
    GenerationRequest,
    Score,
    generation_request,
    score_request,
)
from sequela.results import (
    EDIT_QUALITY,
    ItemRecord,
    TaskResult,
    count_dropped,
    dropped_note,
    of_applied,
    result_from_items,
)
from sequela.results import RETENTION_AT_N as RETENTION_AT_N
from sequela.results import SUCCESS_AT_EDIT as SUCCESS_AT_EDIT
from sequela.results.metrics import EFFECTIVE_EDITS, EFFICACY, NEIGHBORHOOD
from sequela.results.protocols import (
    AGREEMENT,
    FREE_DECODING,
    FREE_TEXT,
    HITS,
    PROBABILITY,
    TEACHER_FORCED,
)

SUITE = EDIT_QUALITY

_RETAINED = (RETENTION_AT_N, EFFICACY.name, FREE_DECODING.name)
"""The score from which the effective edits are counted."""

Answers = Mapping[str, str]
"""A model's answers by prompt."""


def measure_edits(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    task: str,
    settings: EditQualitySettings,
    before: Answers | None = None,
    progress: Progress = SILENT,
    in_force: EditsInForce | None = None,
) -> list[ItemRecord]:
    """Measures edits on a model.

    Args:
        model: The edited model.
        engine: The engine that runs it.
        edits: The edits to measure.
        task: `success@edit` or `retention@n`.
        settings: The settings of the measurement.
        before: The unedited model's answers to the neighborhood prompts; if given, `agreement` is measured.
        progress: Receives progress reports.
        in_force: The edits in force on the model. Edits that a later one has superseded, and neighborhood
            prompts that one changes on purpose, are counted but not measured. None to measure everything.

    Returns:
        One record per edit, metric and protocol. Its value is the mean over the edit's prompts, because
        the prompts of one edit are correlated and must not count as independent items. Prompts that don't
        fit the model's context are left out of the mean; if none fits, the record is too long. Further
        records count what is left out.
    """
    known = without_control_answers(edits, model.base.tokenizer)
    selected = select_probes(known, task, settings, in_force)
    asked = selected.asked
    generations = engine.generate(
        model,
        [_generation(model, probe.prompt, settings, edit) for edit, probe in asked],
        progress,
    )
    pairs = [(i, answer) for i, (_, p) in enumerate(asked) for answer in (p.expected, p.rival) if answer]
    requests = [
        score_request(model, asked[i][1].prompt, answer, f"edit {asked[i][0].id}") for i, answer in pairs
    ]
    scores = dict(zip(pairs, engine.score(model, requests, progress), strict=True))

    outcomes: dict[tuple[str, str, str], list[_ProtocolScore]] = defaultdict(list)
    for i, (edit, probe) in enumerate(asked):
        expected = scores[(i, probe.expected)] if probe.expected else None
        rival = scores[(i, probe.rival)] if probe.rival else None
        for protocol, outcome in _score_probe(probe, generations[i], expected, rival, before):
            outcomes[(edit.id, probe.metric, protocol)].append(outcome)
    return [
        *(
            _record(task, edit_id, metric, protocol, scored)
            for (edit_id, metric, protocol), scored in outcomes.items()
        ),
        *selected.counts,
    ]


def neighborhood_answers(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    settings: EditQualitySettings,
    progress: Progress = SILENT,
) -> Answers:
    """Returns a model's answers to the neighborhood prompts of edits; used with the unedited model.

    Prompts that don't fit the model's context have no answer.
    """
    first: dict[str, Edit] = {}
    for edit in edits:
        for probe in probes_of(edit, settings):
            if probe.metric == NEIGHBORHOOD.name:
                first.setdefault(probe.prompt, edit)
    requests = [_generation(model, prompt, settings, edit) for prompt, edit in first.items()]
    generations = engine.generate(model, requests, progress)
    answers = zip(first, generations, strict=True)
    return {prompt: generation.text for prompt, generation in answers if generation.too_long is None}


def task_results(
    records: Iterable[ItemRecord], notes: Mapping[str, str] | None = None, *, is_unedited: bool = False
) -> list[TaskResult]:
    """Returns the means over the edits, one result per task, metric and protocol.

    Where edits were dropped or not asked, the means over the others follow under tasks of their own.

    Args:
        records: The records from `measure_edits`.
        notes: The notes on the results, by task.
        is_unedited: Whether the model has none of the edits, so that none is effective.
    """
    task_notes = notes or {}
    groups: dict[tuple[str, str, str], list[ItemRecord]] = defaultdict(list)
    counts: list[ItemRecord] = []
    for record in records:
        if is_count(record):
            counts.append(record)
        else:
            groups[(record.task, record.metric, record.protocol)].append(record)
    results: list[TaskResult] = []
    applied: list[TaskResult] = []
    effective: list[TaskResult] = []
    for (task, metric, protocol), group in groups.items():
        note = _joined(task_notes.get(task, ""), left_out_note(counts, task, metric), unasked_note(group))
        mean_of = result_of_texts if protocol == FREE_TEXT.name else result_from_items
        result = mean_of(group, _joined(dropped_note(group), note))
        of_some = of_applied(result, note)
        results.append(result)
        if of_some is not None:
            applied.append(of_some)
        if (task, metric, protocol) == _RETAINED and not is_unedited:
            effective.append(_effective(of_some or result))
    scored = [record for group in groups.values() for record in group]
    return [
        *results,
        *without_items(scored, groups, counts),
        *applied,
        *effective,
        *count_dropped([*scored, *counts]),
        *count_unasked(scored),
        *count_results(counts, scored),
    ]


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def rescore_records(
    records: Iterable[ItemRecord],
    notes: Mapping[tuple[str, str, str], str],
    *,
    is_unedited: bool = False,
) -> list[TaskResult]:
    """Scores stored answers again with the current rule for matching answers; other records are unchanged.

    Args:
        records: The stored records.
        notes: The notes on the stored results by task, metric and protocol; they do not depend on the rule.
        is_unedited: Whether they are of the unedited model.
    """
    results = task_results([_rescore_record(record) for record in records], is_unedited=is_unedited)
    return [
        one.model_copy(update={"note": notes.get((one.task, one.metric, one.protocol), one.note)})
        for one in results
    ]


def _rescore_record(record: ItemRecord) -> ItemRecord:
    if record.protocol != FREE_DECODING.name or not record.finite:
        return record
    rule = starts_with_answer if record.metric in OWN_METRICS else PROBE_REGISTRY.get(record.metric).counts
    prompts = [
        {**one, "value": float(_has_answer(one) and rule(one["answer"], one["expected"]))}
        for one in record.details["prompts"]
    ]
    asked = [one for one in prompts if one["too_long"] is None]
    value = sum(one["value"] for one in asked or prompts) / len(asked or prompts)
    too_long = None if asked else record.too_long
    details = {**record.details, "prompts": prompts}
    return record.model_copy(update={"value": value, "too_long": too_long, "details": details})


def _has_answer(prompt: Mapping[str, Any]) -> bool:
    """Returns whether the model answered a stored prompt: it was not too long, and its thinking ended."""
    return prompt["too_long"] is None and prompt.get("unfinished_thinking") is None


def _effective(applied: TaskResult) -> TaskResult:
    """Returns the number of applied edits that the model still expresses under free decoding.

    Args:
        applied: The retention of the applied edits.
    """
    stderr = None if applied.stderr is None else applied.stderr * applied.n
    counted = {
        "task": RETENTION_AT_N,
        "metric": EFFECTIVE_EDITS.name,
        "value": math.fsum(item.value for item in applied.items),
        "stderr": stderr,
    }
    return applied.model_copy(update=counted)


@dataclass(frozen=True)
class _ProtocolScore:
    value: float
    finite: bool
    too_long: int | None
    probe: ProbePrompt
    answer: str
    details: dict[str, float]
    thinking: str = ""
    unfinished_thinking: int | None = None


def _score_probe(
    probe: ProbePrompt,
    generation: Generation,
    expected: Score | None,
    rival: Score | None,
    before: Answers | None,
) -> Iterable[tuple[str, _ProtocolScore]]:
    """Yields the score of one prompt under each protocol; 0 if an answer is not finite or there is none."""
    details: dict[str, float] = {}
    if expected is not None:
        details["mean_logprob_expected"] = expected.mean_logprob
    if rival is not None:
        details["mean_logprob_rival"] = rival.mean_logprob

    def outcome(value: float, *answers: Score | Generation) -> _ProtocolScore:
        generated = [answer for answer in answers if isinstance(answer, Generation)]
        unfinished = longest_unfinished(generated)
        counted = value if unfinished is None and all(answer.finite for answer in answers) else 0.0
        finite, too_long = all_finite(answers), longest_too_long(answers)
        thinking = generation.thinking if generated else ""
        return _ProtocolScore(
            counted, finite, too_long, probe, generation.text, details, thinking, unfinished
        )

    if probe.expected is not None and expected is not None:
        yield FREE_DECODING.name, outcome(float(probe.counts(generation.text, probe.expected)), generation)
        share = sum(expected.token_greedy) / len(expected.token_greedy)
        yield TEACHER_FORCED.name, outcome(share, expected)
        if rival is not None and not same_answer(probe.expected, probe.rival or ""):
            wins = expected.mean_logprob > rival.mean_logprob
            yield PROBABILITY.name, outcome(float(wins), expected, rival)
    if probe.metric == NEIGHBORHOOD.name and before is not None and probe.prompt in before:
        same = normalize_answer(generation.text) == normalize_answer(before[probe.prompt])
        yield AGREEMENT.name, outcome(float(same), generation)
    if generation.hit is not None:
        yield HITS.name, outcome(float(generation.hit))


def _record(
    task: str, edit_id: str, metric: str, protocol: str, outcomes: Sequence[_ProtocolScore]
) -> ItemRecord:
    asked = [outcome for outcome in outcomes if outcome.too_long is None]
    counted = asked or outcomes
    first = counted[0]
    return ItemRecord(
        suite=SUITE,
        task=task,
        metric=metric,
        protocol=protocol,
        item=edit_id,
        value=sum(outcome.value for outcome in counted) / len(counted),
        finite=all(outcome.finite for outcome in counted),
        too_long=None if asked else max(one.too_long for one in outcomes if one.too_long is not None),
        unfinished_thinking=max(
            (one.unfinished_thinking for one in counted if one.unfinished_thinking is not None), default=None
        ),
        prompt=first.probe.prompt,
        answer=first.answer,
        thinking=first.thinking,
        expected=first.probe.expected or "",
        details={
            "prompts": [
                {
                    "prompt": o.probe.prompt,
                    "answer": o.answer,
                    "expected": o.probe.expected,
                    "value": o.value,
                    "too_long": o.too_long,
                    **_json_safe(o.details),
                    **_thinking_of(o),
                }
                for o in outcomes
            ]
        },
    )


def _thinking_of(outcome: _ProtocolScore) -> dict[str, str | int]:
    """Returns the fields of a prompt about the model's thinking; none if it didn't think."""
    fields: dict[str, str | int] = {"thinking": outcome.thinking} if outcome.thinking else {}
    if outcome.unfinished_thinking is not None:
        fields["unfinished_thinking"] = outcome.unfinished_thinking
    return fields


def _json_safe(details: Mapping[str, float]) -> dict[str, float | None]:
    """Returns the values with minus infinity, the score of a non-finite answer, replaced by None for JSON."""
    return {name: value if value > float("-inf") else None for name, value in details.items()}


def _generation(
    model: EditedModel, prompt: str, settings: EditQualitySettings, edit: Edit
) -> GenerationRequest:
    return generation_request(model, prompt, settings.max_new_tokens, of=f"edit {edit.id}")
