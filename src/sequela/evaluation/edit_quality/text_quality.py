"""The fluency of texts about edited subjects, and their consistency with the new fact."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from sequela.core.progress import SILENT, Progress
from sequela.core.wording import number_of
from sequela.edited import EditedModel
from sequela.edits import Edit
from sequela.evaluation.answer_status import all_finite, longest_too_long, longest_unfinished
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.ngrams import ngram_entropy
from sequela.inference import Engine, Generation, generation_request
from sequela.results import EDIT_QUALITY, ItemRecord, TaskResult, mean_and_stderr, result_like
from sequela.results.metrics import CONSISTENCY, FLUENCY
from sequela.results.protocols import FREE_TEXT

Texts = Mapping[str, str]
"""Generated texts by prompt."""


def reference_texts(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    settings: EditQualitySettings,
    progress: Progress = SILENT,
) -> Texts:
    """Returns the unedited model's texts about subjects of which the edits' new answers are true.

    The literature compares with encyclopedia articles about such subjects. The model's own texts need no
    further data, and show how it writes about subjects that have the property.
    """
    if not settings.text_tokens:
        return {}
    prompts = [prompt for edit in edits for prompt in edit.attribute]
    written = _write(model, engine, prompts, settings, progress)
    return {prompt: one.text for prompt, one in written.items() if _is_complete(one)}


def measure_texts(
    model: EditedModel,
    engine: Engine,
    edits: Sequence[Edit],
    task: str,
    settings: EditQualitySettings,
    references: Texts,
    progress: Progress = SILENT,
) -> list[ItemRecord]:
    """Measures `fluency` and `consistency` of the model's texts about every edit's subject.

    Fluency is the entropy of n-grams (see `ngrams.ngram_entropy`); consistency is the cosine between the word
    weights (TF-IDF over the references) of the texts and of the edit's references. An edit without
    references has no consistency. A prompt that doesn't fit the model's context has no text. If all prompts
    of an edit do so, or one of its texts has a non-finite logit or is all thinking, its records aren't
    `measured`.

    Args:
        model: The edited model.
        engine: The engine that runs it.
        edits: The edits.
        task: The task in the records: `success@edit` or `retention@n`.
        settings: The settings, with the length of the texts.
        references: The texts from `reference_texts`.
        progress: Receives progress reports.
    """
    if not settings.text_tokens:
        return []
    written = _write(model, engine, [p for edit in edits for p in _prompts(edit)], settings, progress)
    weights = _Weights(list(references.values()))
    records = []
    for edit in edits:
        written_about = [written[prompt] for prompt in _prompts(edit)]
        asked = [one for one in written_about if one.too_long is None]
        generations = asked or written_about
        texts = [generation.text for generation in generations]
        values = {FLUENCY.name: math.fsum(ngram_entropy(text) for text in texts) / len(texts)}
        known = [references[prompt] for prompt in edit.attribute if prompt in references]
        if known:
            values[CONSISTENCY.name] = weights.cosine(" ".join(texts), " ".join(known))
        for metric, value in values.items():
            records.append(
                ItemRecord(
                    suite=EDIT_QUALITY,
                    task=task,
                    metric=metric,
                    protocol=FREE_TEXT.name,
                    item=edit.id,
                    value=value,
                    finite=all_finite(generations),
                    too_long=None if asked else longest_too_long(generations),
                    unfinished_thinking=longest_unfinished(generations),
                    prompt=_prompts(edit)[0],
                    answer=texts[0],
                    thinking=generations[0].thinking,
                    details={"texts": texts},
                )
            )
    return records


def result_of_texts(records: Sequence[ItemRecord], note: str = "") -> TaskResult:
    """Returns the mean over the edits whose texts were completed; it has no value if there are none.

    The edits without a text are counted, and are not part of n: a value of 0 would be that of a text that
    repeats itself.

    Args:
        records: The records of one task and metric from `measure_texts`.
        note: A remark for readers, after which the edits without a text follow.
    """
    measured = [record for record in records if record.measured]
    reasons = {
        "longer than the model's context": sum(not record.answered for record in records),
        "with a non-finite logit": sum(not record.finite for record in records),
        "with thinking that was not finished": sum(
            record.unfinished_thinking is not None for record in records
        ),
    }
    described = ", ".join(f"{n} {reason}" for reason, n in reasons.items() if n)
    missing = len(records) - len(measured)
    without = f"{number_of('edit', missing)} without a text, not counted: {described}" if missing else ""
    value, stderr = mean_and_stderr([record.value for record in measured])
    full_note = "; ".join(filter(None, (note, without)))
    counts = result_like(records[0], None, counted=records)
    return counts.model_copy(
        update={
            "value": value,
            "stderr": stderr,
            "n": len(measured),
            "note": full_note,
            "items": tuple(measured),
        }
    )


def _is_complete(text: Generation) -> bool:
    return text.finite and text.too_long is None and text.unfinished_thinking is None


def _prompts(edit: Edit) -> tuple[str, ...]:
    return edit.generation or (edit.question,)


def _write(
    model: EditedModel,
    engine: Engine,
    prompts: Sequence[str],
    settings: EditQualitySettings,
    progress: Progress,
) -> dict[str, Generation]:
    unique = list(dict.fromkeys(prompts))
    requests = [generation_request(model, prompt, settings.text_tokens) for prompt in unique]
    return dict(zip(unique, engine.generate(model, requests, progress), strict=True))


class _Weights:
    """TF-IDF weights of words, with document frequencies from the references."""

    def __init__(self, documents: Sequence[str]) -> None:
        self._n = len(documents)
        self._with = Counter(word for document in documents for word in set(_words(document)))

    def cosine(self, first: str, second: str) -> float:
        one, other = self._of(first), self._of(second)
        product = math.fsum(weight * other.get(word, 0.0) for word, weight in one.items())
        norms = math.hypot(*one.values()) * math.hypot(*other.values())
        return product / norms if norms else 0.0

    def _of(self, text: str) -> dict[str, float]:
        counts = Counter(_words(text))
        return {
            word: count * (math.log((1 + self._n) / (1 + self._with[word])) + 1)
            for word, count in counts.items()
        }


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
