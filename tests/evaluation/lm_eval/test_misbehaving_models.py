"""The validity rules D1 to D8 on whole suites, with models that fail in every known way.

The tests cover not only the rules but the whole path from a model's answers to checked measurements. An
engine simulates the model, because a tiny model can't be trained reliably to fail in a certain way.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sequela.analysis import CheckedMeasurement, check_validity
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.templates import sandboxed_templates
from sequela.inference import Generation, GenerationRequest, Score, ScoreRequest
from sequela.results import Labels, Measurement
from sequela.studies.baseline import Baseline, measurements
from support.suites import SUITES
from support.tiers import quick_cases
from support.tiny import tiny_language_model

Answers = dict[str, tuple[str, ...]]
"""The right answers of every item, by prompt; for choices, the continuations."""

RIGHT_OF_TEN = 8
"""The number of items, out of ten, that a healthy model answers correctly."""


class Behavior:
    """An engine that simulates the answers of a kind of model.

    Args:
        model: The model whose tokenizer reads the requests.
        right: The right answers.
        choose: Returns the log-probability of a continuation, given the right ones and the item's number.
        write: Returns the text, given the prompt, the right answer and the item's number.
    """

    def __init__(
        self,
        model: EditedModel,
        right: Answers,
        choose: Callable[[Sequence[str], str, int], float],
        write: Callable[[str, str, int], str],
    ) -> None:
        self._tokenizer = model.base.tokenizer
        self._right = right
        self._numbers = {prompt: number for number, prompt in enumerate(right)}
        self._choose = choose
        self._write = write

    def score(
        self, model: EditedModel, requests: Sequence[ScoreRequest], progress: Progress = SILENT
    ) -> list[Score]:
        found = []
        for request in requests:
            prompt, continuation = self._text(request.context), self._text(request.continuation)
            total = self._choose(self._right[prompt], continuation, self._numbers[prompt])
            each = total / len(request.continuation)
            n = len(request.continuation)
            found.append(Score((each,) * n, (False,) * n, math.isfinite(total)))
        return found

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        found = []
        for request in requests:
            prompt = self._text(request.prompt)
            text = self._write(prompt, self._right[prompt][0], self._numbers[prompt])
            found.append(Generation(text, (), "end", True))
        return found

    def _text(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text


def right_answers(suite: HarnessSuite) -> Answers:
    """Returns the right answers to every prompt of a suite."""
    found: dict[str, dict[str, None]] = {}
    for task in suite.tasks:
        with quiet_harness(), sandboxed_templates():
            task.task.build_all_requests(limit=None, rank=0, world_size=1)
        for request in task.task.instances:
            target = task.task.doc_to_target(request.doc)
            right = found.setdefault(request.args[0], {})
            if task.file.protocol == "generation":
                right[str(target[0] if isinstance(target, list) else target)] = None
            elif task.file.name == "truthfulqa_mc2":
                targets = request.doc["mc2_targets"]
                pairs = zip(targets["choices"], targets["labels"], strict=True)
                right |= {f" {choice}": None for choice, label in pairs if label}
            else:
                right[f" {task.task.doc_to_choice(request.doc)[int(target)]}"] = None
    return {prompt: tuple(right) for prompt, right in found.items()}


def drawn(number: int, continuation: str) -> float:
    """Returns a pseudo-random number from 0 to 1."""
    return zlib.crc32(f"{number}{continuation}".encode()) / 2**32


def healthy_choice(right: Sequence[str], continuation: str, number: int) -> float:
    """Prefers the right choice for eight of ten items, and varying others for the rest."""
    knows = number % 10 < RIGHT_OF_TEN
    if continuation in right:
        return (-1.0 if knows else -6.0) - right.index(continuation) / 10
    return -3.0 - drawn(number, continuation)


def healthy_text(prompt: str, right: str, number: int) -> str:
    wrong = "ABCD"[("ABCD".index(right) + 1 + number % 3) % 4] if right in "ABCD" else f"{number}"
    answer = right if number % 10 < RIGHT_OF_TEN else wrong
    reasons = "step by step" in prompt or prompt.endswith("\nA:")
    return f"Step by step. So the answer is {answer}." if reasons else f" {answer}"


def always(text: str) -> Callable[[Sequence[str], str, int], float]:
    return lambda right, continuation, number: -1.0 if continuation == text else -2.0


class Benchmarks:
    """Suites over one folder of data sets, each built once, with the results of a healthy model.

    Args:
        model: The model whose tokenizer reads the requests.
    """

    def __init__(self, model: EditedModel) -> None:
        self._model = model
        self._suites: dict[str, tuple[HarnessSuite, Answers]] = {}
        self._healthy: dict[str, list[Measurement]] = {}

    def measured(
        self, name: str, choose: Callable[..., float], write: Callable[..., str], n_edits: int
    ) -> list[Measurement]:
        """Returns a suite's measurements of a simulated model, which is the unedited one for 0 edits."""
        if name not in self._suites:
            settings = {"mmlu": {"subjects": ["anatomy", "astronomy"]}, "bbh": {"subjects": ["navigate"]}}
            suite = HarnessSuite(name, **settings.get(name, {}))
            self._suites[name] = suite, right_answers(suite)
        suite, right = self._suites[name]
        engine = Behavior(self._model, right, choose, write)
        labels = Labels(
            model="m",
            editor="rome" if n_edits else "none",
            edit_source="builtin",
            order_seed=0,
            n_edits=n_edits,
        )
        return measurements(suite.evaluate(self._model, engine), labels, Baseline())

    def healthy(self, name: str) -> list[Measurement]:
        """Returns a suite's measurements of a healthy unedited model."""
        if name not in self._healthy:
            self._healthy[name] = self.measured(name, healthy_choice, healthy_text, 0)
        return self._healthy[name]

    def against_healthy(
        self,
        name: str,
        choose: Callable[..., float] = healthy_choice,
        write: Callable[..., str] = healthy_text,
        further: Sequence[Measurement] = (),
    ) -> dict[str, CheckedMeasurement]:
        """Returns the checked measurements of an edited model, with a healthy unedited one as baseline."""
        before = self.healthy(name)
        values = {one.series: one.value for one in before}
        after = [
            one.model_copy(update={"baseline": values[one.series]})
            for one in self.measured(name, choose, write, 10)
        ]
        found = check_validity([*before, *after, *further], SUITES)
        return {f"{one.task}/{one.metric}": one for one in found if one.n_edits == 10}


@pytest.fixture(scope="module")
def bench(larger_folder: Path) -> Iterator[Benchmarks]:
    """Benchmarks with enough items to distinguish a score from chance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_DATA", str(larger_folder))
        yield Benchmarks(EditedModel(tiny_language_model("llama", max_position_embeddings=4096)))


def rules(one: CheckedMeasurement) -> list[str]:
    return [flag.rule for flag in one.flags if flag.invalidates]


def perplexity(factor: float) -> Measurement:
    return Measurement(
        model="m",
        editor="rome",
        edit_source="builtin",
        order_seed=0,
        n_edits=10,
        suite="perplexity",
        task="fixed_text",
        metric="perplexity",
        protocol="fixed_text",
        value=20.0 * factor,
        n=10,
        baseline=20.0,
    )


@pytest.mark.parametrize(
    "name",
    quick_cases(
        ("mmlu", "bbh", "gsm8k", "commonsenseqa", "triviaqa", "truthfulqa", "toxigen"),
        ("mmlu", "bbh", "gsm8k", "toxigen"),
    ),
)
def test_a_healthy_model_raises_no_flag(name: str, bench: Benchmarks) -> None:
    found = bench.against_healthy(name, further=[perplexity(1.1)])
    scores = [one for one in found.values() if one.form is not None]
    assert scores
    for one in scores:
        assert one.flags == (), (one.task, one.metric, one.value)
        assert one.value == one.raw_value


def test_always_no_is_a_constant_answer(bench: Benchmarks) -> None:
    found = bench.against_healthy("toxigen", choose=always(" No"))
    accuracy = found["toxigen_local@1/accuracy"]
    assert accuracy.raw_value == pytest.approx(90 / 180)
    assert accuracy.value is None
    assert accuracy.invalid_because == "D1: constant answer: the answer is 'No' in 180 of 180 items"
    assert rules(found["toxigen_local@1/balanced_accuracy"]) == ["D1"]
    assert found["toxigen_local@1/share_yes"].value == 0  # the prior is a fact, not a score


def test_a_change_from_one_constant_answer_to_another_is_flagged(
    larger_data: Path, edited: EditedModel
) -> None:
    bench = Benchmarks(edited)
    path = larger_data / "toxigen" / "test.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for i, line in enumerate(lines) if i % 4 != 3), encoding="utf-8")
    before = bench.measured("toxigen", always(" Yes"), healthy_text, 0)
    after = bench.measured("toxigen", always(" No"), healthy_text, 10)
    values = {one.series: one.value for one in before}
    after = [one.model_copy(update={"baseline": values[one.series]}) for one in after]
    found = {(one.n_edits, one.metric): one for one in check_validity([*before, *after], SUITES)}
    assert found[10, "accuracy"].raw_value == pytest.approx(2 / 3)  # "safer" than one third before
    assert rules(found[10, "accuracy"]) == ["D1", "D2", "D6"]
    assert rules(found[0, "accuracy"]) == ["D1", "D6"]


@pytest.mark.parametrize("name", ["mmlu", "gsm8k", "triviaqa", "bbh"])
def test_empty_answers_are_unparsed(name: str, bench: Benchmarks) -> None:
    found = bench.against_healthy(name, write=lambda *_: "")
    scores = [one for key, one in found.items() if key.endswith(("/accuracy", "/accuracy_lenient"))]
    for one in scores:
        assert one.raw_value == 0
        assert one.value is None
        assert {"D1", "D7"} <= set(rules(one))
        assert "no answer was found" in one.invalid_because
    (empty,) = (one for key, one in found.items() if key.endswith("/empty_rate"))
    assert empty.value == 1.0


def test_nan_logits_never_win(bench: Benchmarks) -> None:
    for name in ("truthfulqa", "toxigen"):
        found = bench.against_healthy(name, choose=lambda *_: math.nan)
        for key, one in found.items():
            assert one.raw_value == 0, key
            if one.form is not None:
                assert "D4" in rules(one), key


def test_a_few_ties_are_reported_and_invalidate_nothing(bench: Benchmarks) -> None:
    def tied(right: Sequence[str], continuation: str, number: int) -> float:
        return -1.0 if number < 3 else healthy_choice(right, continuation, number)

    accuracy = bench.against_healthy("toxigen", choose=tied)["toxigen_local@1/accuracy"]
    assert [(flag.rule, flag.invalidates) for flag in accuracy.flags] == [("D4", False)]
    assert accuracy.value == accuracy.raw_value


def test_a_model_that_copies_its_prompt(bench: Benchmarks) -> None:
    found = bench.against_healthy("mmlu", write=lambda prompt, *_: prompt.splitlines()[-2])
    assert {"D1", "D7"} & set(rules(found["mmlu@1/accuracy"]))
    assert found["mmlu@1/accuracy"].value is None
    found = bench.against_healthy("commonsenseqa", write=lambda prompt, *_: prompt.split("\n\n")[-1])
    assert found["commonsenseqa@1/accuracy"].value is None


def test_answers_in_prose_lose_form_and_not_content(bench: Benchmarks) -> None:
    def prose(prompt: str, right: str, number: int) -> str:
        description = healthy_text(prompt, right, number).strip(" .").rpartition(" ")[2]
        return f"Well, if you ask me, I would say that the answer is {description}, all in all"

    found = bench.against_healthy("mmlu", write=prose)
    strict, lenient = found["mmlu@1/accuracy"], found["mmlu@1/accuracy_lenient"]
    assert (strict.raw_value, strict.value) == (0, None)
    assert "D7" in rules(strict)
    assert lenient.flags == ()
    assert lenient.value == found["mmlu@1/accuracy_parsed"].value == pytest.approx(0.8, abs=0.05)
    assert (found["mmlu@1/parse_rate"].value, found["mmlu@1/parse_rate_lenient"].value) == (0.0, 1.0)


def test_a_collapsed_model_is_no_safer(bench: Benchmarks) -> None:
    def truthful(right: Sequence[str], continuation: str, number: int) -> float:
        return healthy_choice(right, continuation, 0 if number % 10 < 9 else number)

    healthy = bench.against_healthy("truthfulqa", choose=truthful, further=[perplexity(1.0)])
    assert healthy["truthfulqa_mc1@1/accuracy"].flags == ()
    collapsed = bench.against_healthy("truthfulqa", choose=truthful, further=[perplexity(2500.0)])
    for metric in ("truthfulqa_mc1@1/accuracy", "truthfulqa_mc2@1/true_probability"):
        one = collapsed[metric]
        assert one.value is None
        assert one.invalid_because.startswith("D5: better than the unedited model's")
        assert "its perplexity is 50,000, 2,500 times" in one.invalid_because


def test_two_collapsed_models_with_the_same_scores(bench: Benchmarks) -> None:
    def collapsed(right: Sequence[str], continuation: str, number: int) -> float:
        return -float(len(continuation)) - number % 3 / 10 * (continuation[1] == "A")

    one = bench.measured("truthfulqa", collapsed, healthy_text, 10)
    other = [two.model_copy(update={"editor": "memit"}) for two in one]
    base = bench.healthy("truthfulqa")
    found = check_validity([*base, *one, *other, perplexity(100.0)], SUITES)
    flags = {(two.editor, two.metric): rules(two) for two in found}
    assert "D3" in flags["memit", "accuracy"]  # rome's perplexity shows that it has collapsed
    assert "D3" not in flags["rome", "accuracy"]
    assert "D3" not in flags["none", "accuracy"]


def test_a_task_on_which_the_unedited_model_guesses_has_no_headroom(bench: Benchmarks) -> None:
    def guess(right: Sequence[str], continuation: str, number: int) -> float:
        return -1.0 - drawn(number, continuation)

    base = bench.measured("toxigen", guess, healthy_text, 0)
    found = {one.metric: one for one in check_validity(base, SUITES)}
    assert rules(found["accuracy"]) == ["D6"]
    assert rules(found["auroc"]) == ["D6"]
    assert "no headroom" in found["accuracy"].invalid_because
