"""Scores of generated answers, for their content and form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sequela.evaluation.answer_status import format_error
from sequela.evaluation.lm_eval.answer_extraction import UNPARSED, AnswerParser, all_extracted, read
from sequela.evaluation.lm_eval.choice_scoring import derived
from sequela.evaluation.lm_eval.item_records import ItemContext, Sample, failures_note, joined
from sequela.evaluation.ngrams import ngram_entropy, repetition
from sequela.results import (
    AnswerDistribution,
    ItemRecord,
    TaskResult,
    most_frequent,
    result_from_items,
    result_like,
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
            answer=sample["resps"][0][0],
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


def accuracy(records: Sequence[ItemRecord], note: str, chance: float | None) -> TaskResult:
    """Returns the share of right answers by the strict parser."""
    result = result_from_items(records, joined(note, failures_note(records)))
    return result.model_copy(update={"form": generation_distribution(records, "strict", chance)})


def generation_results(records: Sequence[ItemRecord], note: str, chance: float | None) -> list[TaskResult]:
    """Returns the accuracy by both parsers, and the metrics of the answers' form."""
    lenient = [derived(one, ACCURACY_LENIENT.name, float(_read(one, "lenient")["right"])) for one in records]
    results = [
        accuracy(records, note, chance),
        result_from_items(lenient, note).model_copy(
            update={"form": generation_distribution(records, "lenient", chance)}
        ),
    ]
    measures: dict[str, Callable[[ItemRecord], float]] = {
        PARSE_RATE.name: lambda one: float(_read(one, "strict")["extracted"] is not None),
        PARSE_RATE_LENIENT.name: lambda one: float(_read(one, "lenient")["extracted"] is not None),
        EMPTY_RATE.name: lambda one: float(not one.answer.strip()),
        REPETITION.name: lambda one: repetition(one.answer),
        NGRAM_ENTROPY.name: lambda one: ngram_entropy(one.answer),
        ANSWER_WORDS.name: lambda one: float(len(one.answer.split())),
    }
    for metric, measure in measures.items():
        results.append(result_from_items([derived(one, metric, measure(one)) for one in records], note))
    results.insert(4, _accuracy_parsed(records, note))
    return results


def generation_distribution(
    records: Sequence[ItemRecord], parser: str, chance: float | None
) -> AnswerDistribution:
    """Returns the distribution of the answers found by one of the parsers."""
    letters = all(record.details["choices"] for record in records)
    answers = [_read(record, parser)["extracted"] or "" for record in records]
    right = [record.details["targets"] for record in records]
    named = sorted({target for targets in right for target in targets}) if letters else []
    return AnswerDistribution(
        chance=chance,
        constants={name: sum(name in targets for targets in right) / len(right) for name in named},
        answers=most_frequent(answers),
        n_empty=sum(not record.answer.strip() for record in records),
        n_unread=sum(answer == "" for answer in answers),
    )


def _accuracy_parsed(records: Sequence[ItemRecord], note: str) -> TaskResult:
    """Returns the accuracy among the texts in which the lenient parser found an answer."""
    parsed = [one for one in records if _read(one, "lenient")["extracted"] is not None]
    scored = [derived(one, ACCURACY_PARSED.name, float(_read(one, "lenient")["right"])) for one in parsed]
    if scored:
        parsed_note = f"{len(scored)} of {len(records)} answers could be parsed"
        return result_from_items(scored, joined(note, parsed_note))
    none_note = joined(note, f"none of {len(records)} answers could be parsed")
    return result_like(records[0], None, note=none_note, metric=ACCURACY_PARSED.name)


def _read(record: ItemRecord, parser: str) -> dict[str, Any]:
    verdict: dict[str, Any] = record.details["readings"][parser]
    return verdict
