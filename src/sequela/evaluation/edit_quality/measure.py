"""Edit quality: success, generalization, retention and locality of edits.

There are two tasks, whose results are never mixed:

* `success@edit`: measured right after the edit's own batch.
* `retention@n`: measured at the checkpoint after n edits, for all of them.

The prompts are defined in `probes`. The protocols are:

* `free_decoding`: the model continues the prompt greedily until it ends the text itself or reaches the
  limit, and its text must begin with the answer. Neither length nor content of the target is leaked.
* `teacher_forced`: the share of the answer's tokens that are the most likely next token when all
  earlier answer tokens are given. This leaks content and length of the target (the literature's
  `rewrite_acc`; see arXiv 2502.11177) and is reported for comparison only.
* `probability`: whether the mean log-probability per token of one answer is above the other's
  (the literature's ES, PS and NS).
* `agreement`: whether the model gives the same answer as the unedited model.
* `hits`: whether a memory-based or in-context method found one of its edits for the prompt. It should for an
  edit's own prompts and should not for its neighbors. Other methods don't have this protocol.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.control_answers import without_control_answers
from sequela.edits import Edit
from sequela.evaluation.answer_status import all_finite, longest_too_long
from sequela.evaluation.edit_quality.answer_matching import normalize_answer, starts_with_answer
from sequela.evaluation.edit_quality.plugin_metrics import OWN_METRICS, PROBE_REGISTRY
from sequela.evaluation.edit_quality.probes import EditQualitySettings, ProbePrompt, probes_of
from sequela.inference import (
    Engine,
    Generation,
    GenerationRequest,
    Score,
    generation_request,
    score_request,
)
from sequela.results import EDIT_QUALITY, ItemRecord, TaskResult, result_from_items
from sequela.results import RETENTION_AT_N as RETENTION_AT_N
from sequela.results import SUCCESS_AT_EDIT as SUCCESS_AT_EDIT
from sequela.results.metrics import EFFECTIVE_EDITS, EFFICACY, NEIGHBORHOOD
from sequela.results.protocols import AGREEMENT, FREE_DECODING, HITS, PROBABILITY, TEACHER_FORCED

SUITE = EDIT_QUALITY

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
) -> list[ItemRecord]:
    """Measures every edit on a model.

    Args:
        model: The edited model.
        engine: The engine that runs it.
        edits: The edits to measure.
        task: `success@edit` or `retention@n`.
        settings: The settings of the measurement.
        before: The unedited model's answers to the neighborhood prompts; if given, `agreement` is measured.
        progress: Receives progress reports.

    Returns:
        One record per edit, metric and protocol. Its value is the mean over the edit's prompts, because
        the prompts of one edit are correlated and must not count as independent items.
    """
    known = without_control_answers(edits, model.base.tokenizer)
    asked = [(edit, probe) for edit in known for probe in probes_of(edit, settings)]
    generations = engine.generate(
        model,
        [_generation(model, probe.prompt, settings) for _, probe in asked],
        progress,
    )
    pairs = [(i, answer) for i, (_, p) in enumerate(asked) for answer in (p.expected, p.rival) if answer]
    requests = [score_request(model, asked[i][1].prompt, answer) for i, answer in pairs]
    scores = dict(zip(pairs, engine.score(model, requests, progress), strict=True))

    outcomes: dict[tuple[str, str, str], list[_ProtocolScore]] = defaultdict(list)
    for i, (edit, probe) in enumerate(asked):
        expected = scores[(i, probe.expected)] if probe.expected else None
        rival = scores[(i, probe.rival)] if probe.rival else None
        for protocol, outcome in _score_probe(probe, generations[i], expected, rival, before):
            outcomes[(edit.id, probe.metric, protocol)].append(outcome)
    return [
        _record(task, edit_id, metric, protocol, scored)
        for (edit_id, metric, protocol), scored in outcomes.items()
    ]


def neighborhood_answers(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    settings: EditQualitySettings,
    progress: Progress = SILENT,
) -> Answers:
    """Returns a model's answers to the neighborhood prompts of edits; used with the unedited model."""
    prompts = [p.prompt for e in edits for p in probes_of(e, settings) if p.metric == NEIGHBORHOOD.name]
    prompts = list(dict.fromkeys(prompts))
    requests = [_generation(model, prompt, settings) for prompt in prompts]
    generations = engine.generate(model, requests, progress)
    return {prompt: generation.text for prompt, generation in zip(prompts, generations, strict=True)}


def task_results(records: Iterable[ItemRecord], notes: Mapping[str, str] | None = None) -> list[TaskResult]:
    """Returns the means over the edits, one result per task, metric and protocol.

    Args:
        records: The records from `measure_edits`.
        notes: The notes on the results, by task.
    """
    task_notes = notes or {}
    groups: dict[tuple[str, str, str], list[ItemRecord]] = defaultdict(list)
    for record in records:
        groups[(record.task, record.metric, record.protocol)].append(record)
    results = [result_from_items(group, task_notes.get(task, "")) for (task, _, _), group in groups.items()]
    retained = (RETENTION_AT_N, EFFICACY.name, FREE_DECODING.name)
    return [
        *results,
        *(_effective(one) for one in results if (one.task, one.metric, one.protocol) == retained),
    ]


def rescore_records(records: Iterable[ItemRecord], notes: Mapping[str, str]) -> list[TaskResult]:
    """Scores stored answers again with the current rule for matching answers; other records are unchanged."""
    return task_results([_rescore_record(record) for record in records], notes)


def _rescore_record(record: ItemRecord) -> ItemRecord:
    if record.protocol != FREE_DECODING.name or not record.finite:
        return record
    rule = starts_with_answer if record.metric in OWN_METRICS else PROBE_REGISTRY.get(record.metric).counts
    prompts = [
        {**one, "value": float(one["too_long"] is None and rule(one["answer"], one["expected"]))}
        for one in record.details["prompts"]
    ]
    value = sum(one["value"] for one in prompts) / len(prompts)
    return record.model_copy(update={"value": value, "details": {"prompts": prompts}})


def _effective(retention: TaskResult) -> TaskResult:
    """Returns the number of edits that the model still expresses under free decoding."""
    value, stderr, n = retention.value, retention.stderr, retention.n
    counted = {
        "metric": EFFECTIVE_EDITS.name,
        "value": None if value is None else value * n,
        "stderr": None if stderr is None else stderr * n,
    }
    return retention.model_copy(update=counted)


@dataclass(frozen=True)
class _ProtocolScore:
    value: float
    finite: bool
    too_long: int | None
    probe: ProbePrompt
    answer: str
    details: dict[str, float]


def _score_probe(
    probe: ProbePrompt,
    generation: Generation,
    expected: Score | None,
    rival: Score | None,
    before: Answers | None,
) -> Iterable[tuple[str, _ProtocolScore]]:
    """Yields the score of one prompt under each protocol; 0 if an answer is not finite or was too long."""
    details: dict[str, float] = {}
    if expected is not None:
        details["mean_logprob_expected"] = expected.mean_logprob
    if rival is not None:
        details["mean_logprob_rival"] = rival.mean_logprob

    def outcome(value: float, *answers: Score | Generation) -> _ProtocolScore:
        counted = value if all(answer.finite for answer in answers) else 0.0
        finite, too_long = all_finite(answers), longest_too_long(answers)
        return _ProtocolScore(counted, finite, too_long, probe, generation.text, details)

    if probe.expected is not None and expected is not None:
        yield FREE_DECODING.name, outcome(float(probe.counts(generation.text, probe.expected)), generation)
        share = sum(expected.token_greedy) / len(expected.token_greedy)
        yield TEACHER_FORCED.name, outcome(share, expected)
        if rival is not None:
            wins = expected.mean_logprob > rival.mean_logprob
            yield PROBABILITY.name, outcome(float(wins), expected, rival)
    if probe.metric == NEIGHBORHOOD.name and before is not None:
        same = normalize_answer(generation.text) == normalize_answer(before[probe.prompt])
        yield AGREEMENT.name, outcome(float(same), generation)
    if generation.hit is not None:
        yield HITS.name, outcome(float(generation.hit))


def _record(
    task: str, edit_id: str, metric: str, protocol: str, outcomes: Sequence[_ProtocolScore]
) -> ItemRecord:
    first = outcomes[0]
    return ItemRecord(
        suite=SUITE,
        task=task,
        metric=metric,
        protocol=protocol,
        item=edit_id,
        value=sum(outcome.value for outcome in outcomes) / len(outcomes),
        finite=all(outcome.finite for outcome in outcomes),
        too_long=max(
            (outcome.too_long for outcome in outcomes if outcome.too_long is not None), default=None
        ),
        prompt=first.probe.prompt,
        answer=first.answer,
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
                }
                for o in outcomes
            ]
        },
    )


def _json_safe(details: Mapping[str, float]) -> dict[str, float | None]:
    """Returns the values with minus infinity, the score of a non-finite answer, replaced by None for JSON."""
    return {name: value if value > float("-inf") else None for name, value in details.items()}


def _generation(model: EditedModel, prompt: str, settings: EditQualitySettings) -> GenerationRequest:
    return generation_request(model, prompt, settings.max_new_tokens)
