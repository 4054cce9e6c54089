"""Inspection of a single item or edit: the prompts, tokens and positions that the model works on.

The requests are those that a suite really sends: `RecordingEngine` takes the place of an engine, keeps every
request and returns a given answer instead of running the model. So an item is shown with the prompt, the
stop strings and the scoring of its suite, whichever suite it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sequela.core.errors import BadInputError, TooFewItemsError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.control_answers import without_control_answers
from sequela.edits import Edit
from sequela.evaluation.edit_quality.probes import EditQualitySettings, probes_of
from sequela.evaluation.registry import make_suite, option_names
from sequela.inference import Generation, GenerationRequest, Score, ScoreRequest, generation_request
from sequela.inference.generation_state import GenerationState
from sequela.models import LanguageModel
from sequela.models.spans import BLANK, TokenizedPrompt, tokenize_prompt
from sequela.results import ItemRecord

SUBJECT, TARGET, CONTINUATION, DECISION = "subject", "target", "continuation", "decision"
"""The marks of tokens. At a decision position, the model predicts a token that is scored or generated."""


@dataclass(frozen=True)
class Token:
    """A token of a request.

    Args:
        position: Its position, from 0.
        id: Its id in the vocabulary.
        text: Its text.
        marks: `subject`, `target`, `continuation`, `decision`; a token can have several.
    """

    position: int
    id: int
    text: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class ShownRequest:
    """A request to a model.

    Args:
        kind: `generation`, `likelihood`, or `edit` for the text on which an edit is made.
        text: The prompt as the model reads it, with special tokens.
        continuation: The text that follows and is scored; empty for a generation.
        tokens: The tokens of both.
        stop: The stop strings of a generated answer.
        max_new_tokens: The maximum length of a generated answer in tokens; None for other kinds.
        max_thinking_tokens: The maximum length of the thinking before it; None if the model doesn't think.
        begins_in_thought: True if the prompt leaves a thought open, so that the answer begins only after the
            text that ends thinking.
    """

    kind: str
    text: str
    continuation: str
    tokens: tuple[Token, ...]
    stop: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    max_thinking_tokens: int | None = None
    begins_in_thought: bool = False


@dataclass(frozen=True)
class ShownAnswer:
    """The parts into which a given text is divided before it is read.

    Args:
        thinking: The text up to the answer, which is not read.
        answer: The answer, up to the first stop string or the maximum length.
        unfinished_thinking: True if the thinking doesn't end, so that there is no answer.
    """

    thinking: str
    answer: str
    unfinished_thinking: bool


@dataclass(frozen=True)
class Reading:
    """The scores of a given answer.

    Args:
        name: The metric, or the parser of generated answers (`strict` or `lenient`).
        extracted: The answer that was found in the text; None if there is none.
        by: The rule that found it.
        value: The score.
    """

    name: str
    extracted: str | None
    by: str
    value: float


@dataclass(frozen=True)
class ShownItem:
    """An item of a suite, or a probe of an edit.

    Args:
        task: The task or, for an edit, the metric.
        protocol: The protocol.
        item: The item's id.
        expected: The right answer.
        requests: What the model is asked.
        readings: How the given answer is scored; empty if none was given.
        answer: The given answer as it is divided; None if none was given or none is generated.
    """

    task: str
    protocol: str
    item: str
    expected: str
    requests: tuple[ShownRequest, ...]
    readings: tuple[Reading, ...] = ()
    answer: ShownAnswer | None = None


@dataclass
class RecordingEngine:
    """An engine that records requests and runs nothing.

    Args:
        answer: The text that it returns for every generation request, up to the request's stop strings and
            length. The continuation equal to it gets the highest score.
        requests: The requests received so far.
    """

    answer: str = ""
    requests: list[ScoreRequest | GenerationRequest] = field(default_factory=list)

    def score(
        self, model: EditedModel, requests: Sequence[ScoreRequest], progress: Progress = SILENT
    ) -> list[Score]:
        """Records the requests; each token of the answer gets probability 1, of other continuations 1e-6."""
        self.requests += requests
        tokenizer = model.base.tokenizer
        chosen = self.answer.strip()
        scores = []
        for request in requests:
            right = bool(chosen) and tokenizer.decode(request.continuation).strip() == chosen
            logprob = 0.0 if right else math.log(1e-6)
            n_tokens = len(request.continuation)
            scores.append(Score((logprob,) * n_tokens, (right,) * n_tokens, True))
        return scores

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        """Records the requests and returns the answer, ended as the request demands."""
        self.requests += requests
        ids = model.base.tokenizer.encode(self.answer, add_special_tokens=False)
        return [self._generation(model.base, number, one, ids) for number, one in enumerate(requests)]

    def _generation(
        self, model: LanguageModel, number: int, request: GenerationRequest, ids: Sequence[int]
    ) -> Generation:
        state = GenerationState(number, request)
        for token in ids:
            if state.ended_by:
                break
            state.take(model, token, finite=True)
        return state.answer(model)


def show_item(
    model: EditedModel,
    suite: str,
    item: str = "1",
    *,
    options: Mapping[str, Any] | None = None,
    answer: str | None = None,
) -> tuple[ShownItem, ...]:
    """Returns an item of each task of a suite as a model is asked it.

    Args:
        model: The model, with the routers that its requests pass, such as a chat template.
        suite: The name of the suite, or a task file.
        item: The number of the item in its task, from 1, or its id.
        options: Settings of the suite, such as `subjects` and `protocols`.
        answer: An answer; if given, the suite scores it.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: The suite has no such item, or no single items.
    """
    chosen = dict(options or {})
    if "limit" not in option_names(suite):
        raise BadInputError(f"The suite {suite!r} has no single items that could be shown.")
    number = int(item) if item.isdecimal() else _number_of(model, suite, item, chosen)
    if number < 1:
        raise BadInputError(f"Invalid item number {number}; the first item is 1.")
    try:
        earlier = _recorded(model, suite, {**chosen, "limit": number - 1}) if number > 1 else _Recording()
        recording = _recorded(model, suite, {**chosen, "limit": number}, answer or "")
    except TooFewItemsError as error:
        raise BadInputError(
            f"The suite {suite!r} has no item {number}: {error.largest}.",
            hint="Choose a smaller number, or an item's id.",
        ) from error
    except BadInputError as error:
        raise BadInputError(f"Item {number} can't be shown. {error.message}", hint=error.hint) from error
    records = _without(recording.records, earlier.records, key=lambda one: (one.task, one.protocol, one.item))
    requests = _without(recording.requests, earlier.requests, key=lambda one: one)
    if not records:
        raise BadInputError(
            f"The suite {suite!r} has no item {number}.", hint="Choose a smaller number, or an item's id."
        )
    return tuple(
        _shown(model, group, _requests_of(model.base, group[0], requests), answer)
        for group in _by_task(records)
    )


def show_edit(
    model: EditedModel,
    edit: Edit,
    settings: EditQualitySettings | None = None,
    *,
    answer: str | None = None,
) -> tuple[ShownItem, ...]:
    """Returns the text on which an edit is made, and the probes by which it is measured.

    Args:
        model: The model, with the routers that its requests pass, such as a chat template.
        edit: The edit.
        settings: The settings of edit quality; the defaults if None.
        answer: An answer; if given, it is compared with the expected answer of every probe.
    """
    (edit,) = without_control_answers([edit], model.base.tokenizer)
    context = model.route(BLANK).answer_prompt
    items = []
    for name, target in (("new target", edit.target_new), ("true target", edit.target_true)):
        if target is None:
            continue
        tokens = tokenize_prompt(model.base.tokenizer, edit.prompt, edit.subject, target, context)
        request = _shown_edit(model.base, tokens)
        items.append(ShownItem(name, "training text", edit.id, target, (request,)))
    chosen = settings or EditQualitySettings()
    for probe in probes_of(edit, chosen):
        asked = generation_request(model, probe.prompt, chosen.max_new_tokens)
        readings: tuple[Reading, ...] = ()
        divided = None if answer is None else _divided(model, asked, answer)
        if divided is not None and probe.expected is not None:
            counts = not divided.unfinished_thinking and probe.counts(divided.answer, probe.expected)
            said = None if divided.unfinished_thinking else divided.answer
            readings = (Reading(probe.metric, said, "begins with the answer", float(counts)),)
        requests, expected = (_shown_request(model.base, asked),), probe.expected or ""
        items.append(ShownItem(probe.metric, "free_decoding", edit.id, expected, requests, readings, divided))
    return tuple(items)


@dataclass(frozen=True)
class _Recording:
    records: tuple[ItemRecord, ...] = ()
    requests: tuple[ScoreRequest | GenerationRequest, ...] = ()


def _recorded(model: EditedModel, suite: str, options: Mapping[str, Any], answer: str = "") -> _Recording:
    engine = RecordingEngine(answer)
    results = make_suite(suite, **options).evaluate(model, engine)
    return _Recording(tuple(item for one in results for item in one.items), tuple(engine.requests))


def _number_of(model: EditedModel, suite: str, item: str, options: Mapping[str, Any]) -> int:
    """Returns the number of an item in its task, from its id."""
    ids: dict[tuple[str, str], list[str]] = {}
    for record in _recorded(model, suite, options).records:
        of_task = ids.setdefault((record.task, record.protocol), [])
        if record.item not in of_task:
            of_task.append(record.item)
    for of_task in ids.values():
        if item in of_task:
            return of_task.index(item) + 1
    raise BadInputError(
        f"The suite {suite!r} has no item {item!r}.",
        hint=f"Items have ids such as {next(iter(ids.values()))[0]!r}, or numbers from 1.",
    )


def _without(some: Sequence[Any], others: Sequence[Any], key: Any) -> list[Any]:
    """Returns the elements of `some` that remain after each of `others` has removed its equal."""
    removed = Counter(key(one) for one in others)
    remaining = []
    for one in some:
        if removed[key(one)]:
            removed[key(one)] -= 1
        else:
            remaining.append(one)
    return remaining


def _by_task(records: Sequence[ItemRecord]) -> list[list[ItemRecord]]:
    """Groups the records of different metrics by task and protocol."""
    groups: dict[tuple[str, str], list[ItemRecord]] = {}
    for record in records:
        groups.setdefault((record.task, record.protocol), []).append(record)
    return [sorted(group, key=lambda one: not one.prompt) for group in groups.values()]


def _requests_of(
    model: LanguageModel, record: ItemRecord, requests: Sequence[ScoreRequest | GenerationRequest]
) -> list[ScoreRequest | GenerationRequest]:
    """Returns the requests whose prompt ends with that of the item, apart from the end of a chat template."""
    wanted = "".join(record.prompt.split())
    tails: dict[int, int] = {}
    for index, request in enumerate(requests):
        text = "".join(str(model.tokenizer.decode(_prompt_of(request))).split())
        found = text.rfind(wanted)
        if found >= 0:
            tails[index] = len(text) - found - len(wanted)
    shortest = min(tails.values(), default=0)
    own = [requests[index] for index, tail in tails.items() if tail == shortest]
    kind = GenerationRequest if record.protocol == "generation" else ScoreRequest
    return [one for one in own if isinstance(one, kind)] or own


def _prompt_of(request: ScoreRequest | GenerationRequest) -> tuple[int, ...]:
    return request.prompt if isinstance(request, GenerationRequest) else request.context


def _shown(
    model: EditedModel,
    records: Sequence[ItemRecord],
    requests: Sequence[ScoreRequest | GenerationRequest],
    answer: str | None,
) -> ShownItem:
    first = records[0]
    generated = [one for one in requests if isinstance(one, GenerationRequest)]
    return ShownItem(
        first.task,
        first.protocol,
        first.item,
        first.expected,
        tuple(_shown_request(model.base, one) for one in requests),
        () if answer is None else _readings(records),
        _divided(model, generated[0], answer) if generated and answer is not None else None,
    )


def _divided(model: EditedModel, request: GenerationRequest, answer: str) -> ShownAnswer:
    """Divides a given answer as an engine does: into thinking and answer, up to the stop strings."""
    (generation,) = RecordingEngine(answer).generate(model, [request])
    return ShownAnswer(generation.thinking, generation.text, generation.unfinished_thinking is not None)


def _readings(records: Sequence[ItemRecord]) -> tuple[Reading, ...]:
    """Returns the verdicts of the item's parsers if it has some, otherwise its value by metric."""
    parsers: Mapping[str, Mapping[str, Any]] = records[0].details.get("readings", {})
    if parsers:
        return tuple(
            Reading(name, one["extracted"], one["by"], float(one["right"])) for name, one in parsers.items()
        )
    return tuple(Reading(one.metric, one.answer or None, one.protocol, one.value) for one in records)


def _shown_request(model: LanguageModel, request: ScoreRequest | GenerationRequest) -> ShownRequest:
    prompt = _prompt_of(request)
    text = str(model.tokenizer.decode(prompt))
    if isinstance(request, GenerationRequest):
        tokens = _tokens(model, prompt, {}, range(len(prompt), len(prompt) + 1))
        thinking = request.thinking
        return ShownRequest(
            "generation",
            text,
            "",
            tokens,
            request.stop,
            request.max_new_tokens,
            None if thinking is None else thinking.max_tokens,
            thinking is not None and thinking.opened,
        )
    ids = (*prompt, *request.continuation)
    continuation = range(len(prompt), len(ids))
    tokens = _tokens(model, ids, {CONTINUATION: continuation}, continuation)
    return ShownRequest("likelihood", text, str(model.tokenizer.decode(request.continuation)), tokens)


def _shown_edit(model: LanguageModel, prompt: TokenizedPrompt) -> ShownRequest:
    spans = {
        name: range(span.start, span.stop)
        for name, span in ((SUBJECT, prompt.subject), (TARGET, prompt.target))
        if span is not None
    }
    tokens = _tokens(model, prompt.ids, spans, spans[TARGET])
    text, target = (str(model.tokenizer.decode(ids)) for ids in (prompt.prompt_ids, prompt.target_ids))
    return ShownRequest("edit", text, target, tokens)


def _tokens(
    model: LanguageModel, ids: Sequence[int], spans: Mapping[str, range], predicted: range
) -> tuple[Token, ...]:
    """Returns tokens with their marks; the position before each predicted one is a decision."""
    return tuple(
        Token(
            position,
            token,
            str(model.tokenizer.decode([token])),
            (
                *(name for name, span in spans.items() if position in span),
                *((DECISION,) if position + 1 in predicted else ()),
            ),
        )
        for position, token in enumerate(ids)
    )
