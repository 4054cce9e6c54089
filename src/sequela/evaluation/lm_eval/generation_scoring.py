"""Scores of generated answers, for their content and form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sequela.evaluation.answer_status import format_error
from sequela.evaluation.lm_eval.answer_extraction import UNPARSED, AnswerParser, all_extracted, read
from sequela.evaluation.lm_eval.choice_scoring import derived
from sequela.evaluation.lm_eval.guessing import Guessing, guessing_of
from sequela.evaluation.lm_eval.item_records import ItemContext, Sample, failures_note, joined
from sequela.evaluation.ngrams import ngram_entropy, repetition
from sequela.results import (
    AnswerDistribution,
    ItemRecord,
    TaskResult,
    most_frequent,
    result_from_items,
    result_like,
    with_score,
)
from sequela.results.metrics import (
    ACCURACY,
    ACCURACY_LENIENT,
    ACCURACY_PARSED,
    ANSWER_WORDS,
    EMPTY_RATE,
    NGRAM_ENTROPY,
    PARSE_RATE,
    PARSE_RATE_LENIENT,
    REPETITION,
)


def generation_records(
    samples: Sequence[Sample],
    context: ItemContext,
    parsers: Mapping[str, AnswerParser],
    targets_of: Callable[[Sample], Sequence[str]],
    choices_of: Callable[[Sample], Sequence[str]],
) -> list[ItemRecord]:
    """Returns the records of generated answers, scored by the strict parser.

    Their details contain the verdicts of both parsers and what each extractor found.

    Args:
        samples: The harness's samples.
        context: Further information on the items.
        parsers: The parsers `strict` and `lenient`.
        targets_of: Returns an item's right answers.
        choices_of: Returns the choices that were shown with an item, if any.
    """
    records = []
    for sample in samples:
        prompt = sample["arguments"][0][0]
        targets = [str(target) for target in targets_of(sample)]
        record = context.record(
            sample,
            metric=ACCURACY.name,
            value=0.0,
            finite=prompt not in context.nonfinite,
            too_long=context.too_long.get((prompt,)),
            unfinished_thinking=context.unfinished_thinking.get(prompt),
            answer=sample["resps"][0][0],
            thinking=context.thinking.get(prompt, ""),
            expected=targets[0] if targets else "",
            details={
                "targets": targets,
                "choices": list(choices_of(sample)),
                "not_asked": context.failed.get((prompt,), ""),
            },
        )
        records.append(score_generation_item(record, parsers))
    return records


def score_generation_item(record: ItemRecord, parsers: Mapping[str, AnswerParser]) -> ItemRecord:
    """Scores a record (again) from the text in it.

    A text that ended at a non-finite logit, or whose request was not run, is not an answer. Neither is one on
    which a rule raises an error, which is stored in the record.
    """
    targets, choices = record.details["targets"], record.details["choices"]
    not_asked = record.details["not_asked"]
    text = record.answer if record.finite and record.too_long is None and not not_asked else ""
    failed = not_asked
    try:
        verdicts = {name: read(text, parser, targets, choices) for name, parser in parsers.items()}
        extracted = all_extracted(text, parsers, choices)
    except Exception as error:  # noqa: BLE001 - an error on one answer must not stop the others
        failed = failed or format_error(error)
        verdicts = dict.fromkeys(parsers, UNPARSED)
        extracted = {}
    return record.model_copy(
        update={
            "value": float(verdicts["strict"].right),
            "failed": failed,
            "details": {
                **record.details,
                "readings": {name: asdict(verdict) for name, verdict in verdicts.items()},
                "extractors": extracted,
            },
        }
    )


def accuracy(
    records: Sequence[ItemRecord], note: str, chance: float | None, guessing: Guessing | None = None
) -> TaskResult:
    """Returns the share of right answers by the strict parser.

    Args:
        records: The items of a task, or of all tasks of a group.
        note: The note on the task.
        chance: The chance level that the task file states, if it does.
        guessing: The scores of guessing; None to derive them, which is right for one task only.
    """
    guessing = guessing or guessing_of(records, chance)
    result = result_from_items(records, joined(note, failures_note(records)))
    return _with_form(result, records, "strict", guessing)


def generation_results(
    records: Sequence[ItemRecord], note: str, chance: float | None, guessing: Guessing | None = None
) -> list[TaskResult]:
    """Returns the accuracy by both parsers, and the metrics of the answers' form.

    The arguments are those of `accuracy`. Metrics of form cover the items that were answered.
    """
    guessing = guessing or guessing_of(records, chance)
    lenient = [derived(one, ACCURACY_LENIENT.name, float(_read(one, "lenient")["right"])) for one in records]
    results = [
        accuracy(records, note, chance, guessing),
        _with_form(result_from_items(lenient, note), records, "lenient", guessing),
    ]
    measures: dict[str, Callable[[ItemRecord], float]] = {
        PARSE_RATE.name: lambda one: float(_read(one, "strict")["extracted"] is not None),
        PARSE_RATE_LENIENT.name: lambda one: float(_read(one, "lenient")["extracted"] is not None),
        EMPTY_RATE.name: lambda one: float(not one.answer.strip()),
        REPETITION.name: lambda one: repetition(one.answer),
        NGRAM_ENTROPY.name: lambda one: ngram_entropy(one.answer),
        ANSWER_WORDS.name: lambda one: float(len(one.answer.split())),
    }
    answered = [record for record in records if record.answered]
    missing = f"{len(answered)} of {len(records)} items were answered" if len(answered) < len(records) else ""
    for metric, measure in measures.items():
        items = [derived(one, metric, measure(one)) for one in answered]
        full_note = joined(note, missing)
        results.append(
            result_from_items(items, full_note)
            if items
            else result_like(records[0], None, note=full_note, metric=metric)
        )
    results.insert(4, _accuracy_parsed(answered, records[0], joined(note, missing), guessing))
    return results


def generation_distribution(
    records: Sequence[ItemRecord], parser: str, guessing: Guessing
) -> AnswerDistribution:
    """Returns the distribution of the answers that one of the parsers found, over the answered items."""
    answered = [record for record in records if record.answered]
    answers = [_answer(record, parser, guessing) for record in answered]
    return AnswerDistribution(
        chance=guessing.chance,
        constants=dict(guessing.constants),
        answers=most_frequent(answers),
        n_empty=sum(not record.answer.strip() for record in answered),
        n_unread=sum(answer == "" for answer in answers),
    )


def _with_form(
    result: TaskResult, records: Sequence[ItemRecord], parser: str, guessing: Guessing
) -> TaskResult:
    answers = [_answer(record, parser, guessing) for record in records]
    form = with_score(generation_distribution(records, parser, guessing), result.items, answers)
    return result.model_copy(update={"form": form})


def _answer(record: ItemRecord, parser: str, guessing: Guessing) -> str:
    return guessing.name(_read(record, parser)["extracted"] or "")


def _accuracy_parsed(
    answered: Sequence[ItemRecord], first: ItemRecord, note: str, guessing: Guessing
) -> TaskResult:
    """Returns the accuracy among the texts in which the lenient parser found an answer."""
    parsed = [one for one in answered if _read(one, "lenient")["extracted"] is not None]
    scored = [derived(one, ACCURACY_PARSED.name, float(_read(one, "lenient")["right"])) for one in parsed]
    if scored:
        parsed_note = f"{len(scored)} of {len(answered)} answers could be parsed"
        return _with_form(result_from_items(scored, joined(note, parsed_note)), parsed, "lenient", guessing)
    none_note = joined(note, f"none of {len(answered)} answers could be parsed")
    return result_like(first, None, note=none_note, metric=ACCURACY_PARSED.name)


def _read(record: ItemRecord, parser: str) -> dict[str, Any]:
    verdict: dict[str, Any] = record.details["readings"][parser]
    return verdict
