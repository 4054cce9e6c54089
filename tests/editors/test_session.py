"""Sessions: batches in order, continuing from a snapshot, presets, templates, and bad edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.edited import Delta, Dense
from sequela.edited.chat_template import ChatTemplate
from sequela.editors import (
    BadEditPolicy,
    Editor,
    EditOutcome,
    EditReport,
    Hyperparameters,
    MethodInfo,
    NoState,
    Resources,
    create_editor,
)
from sequela.editors.presets import Preset, write_preset
from sequela.editors.session import BatchResult, EditSession, replaced_within
from sequela.edits import Edit, Probe
from sequela.models import LanguageModel, tokenize_prompt
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

MODEL = tiny_language_model("llama")
SETTINGS: dict[str, Any] = {"layers": [1], "v_num_grad_steps": 3, "v_lr": 0.3}
NO_SUBJECT = Edit(id="bare", prompt="The boss of Apple", target_new="Tomas")


def steps(folder: Path, policy: BadEditPolicy, name: str = "rome", batch: int = 1) -> list[BatchResult]:
    resources = Resources(tiny_statistics(MODEL, folder), contexts=("{}",))
    editor = create_editor(name, SETTINGS)
    return list(edit_in_batches(editor, MODEL, TINY_EDITS[:4], batch, resources, policy=policy))


def norms(results: list[BatchResult]) -> list[float]:
    return [report.relative_norm for step in results for report in step.reports]


@pytest.fixture
def between(tmp_path: Path) -> float:
    """A relative norm that the first edit doesn't reach and a later one exceeds."""
    results = norms(steps(tmp_path, BadEditPolicy(relative_norm=1e9)))
    assert max(results[1:]) > results[0]
    return (results[0] + max(results[1:])) / 2


def test_a_bad_edit_is_applied_and_reported(tmp_path: Path, between: float) -> None:
    results = steps(tmp_path, BadEditPolicy(relative_norm=between))
    bad = [report for step in results for report in step.reports if report.warning]
    assert len(results) == 4
    assert bad
    assert all(report.relative_norm > between and not report.dropped for report in bad)
    assert all("explosive update" in report.warning for report in bad)
    assert results[-1].delta.content_hash == steps(tmp_path, BadEditPolicy())[-1].delta.content_hash


def test_a_bad_edit_is_skipped_and_counted_as_dropped(tmp_path: Path, between: float) -> None:
    results = steps(tmp_path, BadEditPolicy(action="skip", relative_norm=between))
    assert len(results) == 4
    skipped = [n for n, step in enumerate(results) if step.reports[0].dropped]
    assert skipped
    assert skipped[0] > 0
    before = results[skipped[0] - 1]
    assert results[skipped[0]].delta is before.delta
    assert results[skipped[0]].state is before.state
    assert "explosive update" in results[skipped[0]].reports[0].dropped
    assert not results[0].reports[0].dropped


def test_a_bad_edit_ends_the_session(tmp_path: Path, between: float) -> None:
    results = steps(tmp_path, BadEditPolicy(action="stop", relative_norm=between))
    assert len(results) < 5
    *good, last = results
    assert "explosive update" in last.stopped
    assert last.delta is good[-1].delta
    assert last.reports[0].dropped
    assert not any(step.stopped for step in good)


def test_a_batch_is_bad_as_a_whole(tmp_path: Path) -> None:
    (step, *_) = steps(tmp_path, BadEditPolicy(action="skip", relative_norm=1e-6), "memit", 2)
    assert all("explosive" in report.dropped for report in step.reports)
    assert not step.delta.updates


@pytest.mark.parametrize("method", ["rome", "memit", "pmet", "emmet", "alphaedit", "kn", "memit+rect"])
def test_a_method_that_needs_subjects_rejects_edits_without_one(method: str, tmp_path: Path) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    edits = [TINY_EDITS[0], NO_SUBJECT]
    with pytest.raises(BadInputError, match=r"1 of 2 edits have no subject \(the first: bare\)") as caught:
        next(edit_in_batches(create_editor(method), MODEL, edits, 1, resources))
    assert "ultraedit" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("method", "settings"),
    [("ultraedit", {"token": "mask", "layers": [1], "lr": 3e-3}), ("ft-m", {"layers": [1], "lr": 5e-3})],
)
def test_a_method_that_needs_no_subjects_accepts_them(
    method: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path))
    (step,) = edit_in_batches(create_editor(method, settings), MODEL, [NO_SUBJECT], 1, resources)
    (report,) = step.reports
    assert report.final_loss < report.first_loss


def session_of(
    folder: Path, name: str = "rome", template: ChatTemplate | None = None, **changes: Any
) -> EditSession:
    resources = Resources(tiny_statistics(MODEL, folder), contexts=("{}",))
    editor = create_editor(name, changes.pop("settings", SETTINGS))
    return EditSession(MODEL, editor, resources, template=template, **changes)


def test_batches_are_applied_in_order_and_counted(tmp_path: Path) -> None:
    session = session_of(tmp_path, "memit", batch_size=2)
    results = list(session.run(TINY_EDITS[:3]))
    assert [result.n_edits for result in results] == [2, 3]
    assert [result.edits for result in results] == [TINY_EDITS[:2], TINY_EDITS[2:3]]
    assert [result.applied for result in results] == [("boss", "keeper"), ("cello",)]
    assert all(result.seconds > 0 and not result.stopped for result in results)


def test_a_session_leaves_the_model_unchanged(tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in MODEL.module.state_dict().items()}
    session = session_of(tmp_path)
    (result,) = session.run(TINY_EDITS[:1])
    assert all(torch.equal(value, before[name]) for name, value in MODEL.module.state_dict().items())
    with session.edited(result):
        changed = [
            name for name, value in MODEL.module.state_dict().items() if not torch.equal(value, before[name])
        ]
    assert changed == list(result.delta.updates)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("rome", SETTINGS),
        ("alphaedit", {**SETTINGS, "nullspace_threshold": 10.0}),
        ("grace", {"layers": [1], "num_steps": 3}),
    ],
)
def test_continuing_from_a_snapshot_gives_the_same_bits(
    method: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    session = session_of(tmp_path, method, settings=settings)
    *_, whole = session.run(TINY_EDITS[:3])
    first, *_ = session.run(TINY_EDITS[:3])
    *_, last = session_of(tmp_path, method, settings=settings).run(TINY_EDITS[:3], first)
    assert last.n_edits == 3
    assert last.state == whole.state
    assert session.edited(last).content_hash == session.edited(whole).content_hash
    assert session.edited(first).content_hash != session.edited(whole).content_hash


def test_edits_are_applied_on_top_of_an_earlier_change(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    first, both = session.run(TINY_EDITS[:2])
    (on_top,) = session.run(TINY_EDITS[1:2], session.start(first.delta))
    assert on_top.delta.content_hash == both.delta.content_hash
    assert on_top.n_edits == 1


def test_the_prepared_state_is_shared_by_all_orders(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    assert session.start().state is session.start().state


def test_the_preset_of_the_model_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "preset.yaml"
    preset = Preset(
        editor="rome", models=("any",), presets=("recommended",), provenance="tuned", source="this test",
        settings={"v_num_grad_steps": 7, "v_lr": 0.1},
    )  # fmt: skip
    write_preset(path, preset)
    session = session_of(tmp_path, settings={"preset": str(path), "v_lr": 0.2}).with_preset()
    assert (session.editor.settings["v_num_grad_steps"], session.editor.settings["v_lr"]) == (7, 0.2)


def test_the_editor_gets_prompts_with_the_chat_template(tmp_path: Path) -> None:
    template = ChatTemplate("User: ", " Answer:")
    rewritten = [
        edit.model_copy(update={"prompt": f"User: {edit.prompt} Answer:"}) for edit in TINY_EDITS[:1]
    ]
    (templated,) = session_of(tmp_path, template=template).run(TINY_EDITS[:1])
    (expected,) = session_of(tmp_path).run(rewritten)
    (plain,) = session_of(tmp_path).run(TINY_EDITS[:1])
    assert templated.edits == TINY_EDITS[:1]
    assert templated.delta.content_hash == expected.delta.content_hash != plain.delta.content_hash


def test_an_in_context_editor_gets_prompts_without_the_chat_template(tmp_path: Path) -> None:
    settings = {"n_demonstrations": 0, "retriever": "words"}
    template = ChatTemplate("User: ", " Answer:")
    (templated,) = session_of(tmp_path, "ike", template, settings=settings).run(TINY_EDITS[:1])
    (plain,) = session_of(tmp_path, "ike", settings=settings).run(TINY_EDITS[:1])
    assert templated.state == plain.state


def test_an_invalid_batch_size_is_rejected_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="Invalid batch size 0"):
        session_of(tmp_path, batch_size=0)
    with pytest.raises(BadInputError, match="the batch size is 2"):
        session_of(tmp_path, batch_size=2)


def test_a_policy_is_created_from_its_action() -> None:
    assert BadEditPolicy.of("skip") == BadEditPolicy(action="skip")
    strict = BadEditPolicy(action="stop", relative_norm=0.1)
    assert BadEditPolicy.of(strict) is strict
    with pytest.raises(UnknownNameError, match="'skipp'"):
        BadEditPolicy.of("skipp")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("memit", {"layers": [1], "v_num_grad_steps": 3}),
        ("ft-m", {"layers": [1], "num_steps": 1}),
        ("grace", {"layers": [1], "num_steps": 1}),
    ],
)
def test_an_edit_that_is_longer_than_the_context_is_dropped_and_the_others_are_applied(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny_language_model("llama")
    first, second = TINY_EDITS[:2]
    long = first.model_copy(update={"id": "long", "prompt": "word " * 300 + "{} is"})
    editor = create_editor(name, settings)
    resources = Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS)
    for batch in ([long, second], [long]) if editor.info.takes_batches else ([long],):
        session = EditSession(model, editor, resources, len(batch))
        result = session.apply_batch(batch, session.start())
        assert [report.edit_id for report in result.reports] == [edit.id for edit in batch]
        assert [bool(report.dropped) for report in result.reports] == [edit is long for edit in batch]
        assert "the model's context has 256" in result.reports[0].dropped
        assert bool(result.delta.updates) is (len(batch) == 2)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("rome", SETTINGS),
        ("memit", SETTINGS),
        ("kn", {"steps": 2}),
        ("wise", {"layers": [1], "num_steps": 1}),
    ],
)
def test_an_edit_that_does_not_fit_in_its_contexts_is_dropped_with_the_reason(
    family: str, name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """With learned positions such a text can't be run; with others, it would be read out of reach."""
    model = tiny_language_model(family)
    limit, edit = model.context_length, TINY_EDITS[0]
    words = 0
    while True:  # the longest edit that fits without a context
        longer = edit.model_copy(update={"id": "long", "prompt": "so " * (words + 1) + edit.prompt})
        if (
            len(tokenize_prompt(model.tokenizer, longer.prompt, longer.subject, longer.target_new).ids)
            > limit
        ):
            break
        long, words = longer, words + 1
    editor = create_editor(name, settings)
    resources = Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS)
    session = EditSession(model, editor, resources)
    first = session.apply_batch([long], session.start())
    (report,) = first.reports
    assert report.dropped.startswith("in the longest of its contexts, prompt and target have ")
    assert report.dropped.endswith(f" tokens; the model's context has {limit}")
    assert first.delta.updates == {}
    (report,) = session.apply_batch([edit], first).reports
    assert "context" not in report.dropped
    if name in ("rome", "memit"):
        alone = EditSession(model, editor, replace(resources, contexts=("{}",)))
        assert "context" not in alone.apply_batch([long], alone.start()).reports[0].dropped


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("name", "settings", "change", "reason"),
    [
        ("kn", {"steps": 1}, {"target_true": "so " * 300}, "prompt and old target have "),
        (
            "wise",
            {"layers": [1], "num_steps": 1, "neighborhood": True},
            {"neighborhood": (Probe(prompt="so " * 300),)},
            "a neighborhood prompt has ",
        ),
    ],
)
def test_an_edit_is_dropped_if_another_text_that_the_method_reads_does_not_fit(
    family: str, name: str, settings: dict[str, Any], change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    model = tiny_language_model(family)
    long = TINY_EDITS[0].model_copy(update=change)
    session = EditSession(
        model,
        create_editor(name, settings),
        Resources(tiny_statistics(model, tmp_path), contexts=CONTEXTS),
    )
    result = session.apply_batch([long], session.start())
    assert result.reports[0].dropped.startswith(reason)
    assert result.reports[0].dropped.endswith(f" tokens; the model's context has {model.context_length}")
    assert (result.delta.updates, result.state) == ({}, session.initial_state)
    assert not session.apply_batch([TINY_EDITS[0]], result).reports[0].dropped.count("context")
    assert session.reads_near_limit([long])


def test_a_method_that_reads_no_such_text_applies_the_edit(tmp_path: Path) -> None:
    change = {"target_true": "so " * 300, "neighborhood": (Probe(prompt="so " * 300),)}
    long = TINY_EDITS[0].model_copy(update=change)
    for name, settings in (("rome", SETTINGS), ("wise", {"layers": [1], "num_steps": 1})):
        session = session_of(tmp_path, name, settings=settings)
        if name == "wise":
            session = replace(session, resources=replace(session.resources, contexts=CONTEXTS))
        assert not session.apply_batch([long], session.start()).reports[0].dropped
        assert not session.reads_near_limit([long])


@pytest.mark.parametrize("name", ["memit", "rome", "emmet"])
def test_an_edit_that_changes_no_weight_is_dropped_with_the_reason(name: str, tmp_path: Path) -> None:
    """The target is the initial value, since the optimization takes no step."""
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    editor = create_editor(name, {**SETTINGS, "v_num_grad_steps": 1})
    (step,) = edit_in_batches(editor, MODEL, TINY_EDITS[:1], 1, resources)
    assert step.reports[0].relative_norm == 0
    assert step.reports[0].dropped == "no weight was changed"
    assert step.applied == ()


@pytest.mark.parametrize(("lr", "dropped"), [(1e-30, "no weight was changed"), (1e-3, "")])
def test_a_change_that_is_lost_in_rounding_is_none(lr: float, dropped: str, tmp_path: Path) -> None:
    settings = {"layers": [1], "num_steps": 1, "lr": lr}
    (step,) = edit_in_batches(
        create_editor("lora", settings), MODEL, TINY_EDITS[:1], 1, Resources(tiny_statistics(MODEL, tmp_path))
    )
    (report,) = step.reports
    assert report.relative_norm > 0
    assert report.dropped == dropped


class Idle(Editor[Hyperparameters, NoState]):
    """A method that makes no edit, whatever its reports state."""

    info = MethodInfo(name="idle", summary="None.", settings=Hyperparameters)

    def prepare(self, model: LanguageModel, resources: Resources) -> NoState:
        return NoState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: NoState, resources: Resources
    ) -> EditOutcome[NoState]:
        weight = model.mlp_out_weight(1).detach()
        nothing = Dense(torch.zeros_like(model.family.as_out_in(weight)).contiguous())
        reports = tuple(
            EditReport(edit_id=one.id, optimization_steps=0, first_loss=0, final_loss=0, relative_norm=0.1)
            for one in edits
        )
        return EditOutcome(Delta(model.fingerprint, {model.family.mlp_out_name(1): nothing}), state, reports)


class IdleMemory(Idle):
    info = replace(Idle.info, location="activations")


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("method", [Idle, IdleMemory])
def test_a_method_that_makes_no_edit_is_reported_at_any_number_of_edits(
    method: type[Idle], count: int, batch: int, tmp_path: Path
) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    session = EditSession(MODEL, method(Hyperparameters()), resources, batch)
    results = list(session.run(TINY_EDITS[:count]))
    reasons = [report.dropped for result in results for report in result.reports]
    expected = "no weight was changed" if method is Idle else "the method keeps nothing of the edit"
    assert reasons == [expected] * count
    assert not any(result.applied for result in results)


BATCHES: dict[str, dict[str, Any]] = {
    "memit": SETTINGS,
    "alphaedit": {**SETTINGS, "nullspace_threshold": 10.0},
    "emmet": SETTINGS,
    "ultraedit": {"layers": [1]},
    "ft-m": {"layers": [1], "num_steps": 3},
}


@pytest.mark.parametrize("prompt", ["The boss of {}", "The boss of {} ", "the  boss of {}"])
@pytest.mark.parametrize("method", BATCHES)
def test_of_two_edits_of_a_question_in_a_batch_the_later_is_applied(
    method: str, prompt: str, tmp_path: Path
) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    again = TINY_EDITS[0].model_copy(update={"id": "again", "prompt": prompt, "target_new": "Vienna"})
    editor = create_editor(method, BATCHES[method])
    (found,) = edit_in_batches(editor, MODEL, [*TINY_EDITS[:2], again], 3, resources)
    (expected,) = edit_in_batches(editor, MODEL, [TINY_EDITS[1], again], 2, resources)
    assert found.reports[0].dropped == "its question is edited again in this batch, by again"
    assert found.applied == ("keeper", "again")
    assert found.delta.content_hash == expected.delta.content_hash


def test_an_edit_is_not_replaced_by_a_later_one_that_is_too_long(tmp_path: Path) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    again = TINY_EDITS[0].model_copy(update={"id": "again", "target_new": "Vienna " * 300})
    editor = create_editor("memit", SETTINGS)
    (found,) = edit_in_batches(editor, MODEL, [TINY_EDITS[0], again], 2, resources)
    assert found.applied == ("boss",)


def test_a_repeated_edit_replaces_nothing() -> None:
    repeat = TINY_EDITS[0].model_copy(update={"id": "repeat"})
    other = TINY_EDITS[0].model_copy(update={"id": "other", "target_new": "Vienna"})
    assert replaced_within([TINY_EDITS[0], TINY_EDITS[1], repeat]) == {}
    assert list(replaced_within([TINY_EDITS[0], other, repeat])) == ["other"]
