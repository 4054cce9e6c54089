"""Edits and evaluation prompts in a chat template, independently of each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from sequela.core.errors import BadInputError, SequelaError
from sequela.results import ItemRecord, Query, open_store
from sequela.studies import Study, run_study
from support.studies import small_study

CHATML = (
    "{% for message in messages %}User: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}Answer:\n{% endif %}"
)


@pytest.fixture
def chatty_study(world_folder: Path, _edits_file: Path, tmp_path: Path) -> Callable[..., Study]:
    """The small study, on the world model with a chat template."""
    folder = tmp_path / "chatty"
    folder.mkdir()
    for path in world_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)

    def make(**changes: object) -> Study:
        content = small_study(folder, _edits_file, **{"checkpoints": [0, 2], **changes})
        content["editors"] = content["editors"][1:]
        content["suites"] = content["suites"][:1]
        return Study.model_validate(content)

    return make


def efficacy(folder: Path) -> tuple[float | None, set[tuple[str, str]], list[ItemRecord]]:
    with open_store(folder) as store:
        found = store.measurements(Query(task="retention@n", metric="efficacy", protocol="free_decoding"))
        labels = {(one.edit_template, one.template) for one in store.measurements() if one.n_edits}
        (key,) = (one for one in store.evaluations() if one.suite == "edit_quality" and one.n_edits)
        return found[-1].value, labels, store.items(key)


@pytest.mark.parametrize("template", ["none", "chat"])
def test_an_edit_is_expressed_in_its_own_template(
    template: str, chatty_study: Callable[..., Study], tmp_path: Path
) -> None:
    run_study(chatty_study(edit_template=template, evaluation_template=template), tmp_path / "run")
    value, labels, items = efficacy(tmp_path / "run")
    assert value is not None
    assert value > 0
    assert labels == {(template, template)}
    assert not any("User:" in item.prompt for item in items)  # results hold the question as it was put


@pytest.mark.slow
def test_the_two_settings_give_four_different_trajectories(
    chatty_study: Callable[..., Study], tmp_path: Path
) -> None:
    hashes = set()
    for edits in ("none", "chat"):
        for asked in ("none", "chat"):
            folder = tmp_path / f"{edits}-{asked}"
            run_study(chatty_study(edit_template=edits, evaluation_template=asked), folder)
            with open_store(folder) as store:
                hashes |= {(one.trajectory, one.model_hash) for one in store.evaluations() if one.n_edits}
    assert len({trajectory for trajectory, _ in hashes}) == 2
    assert len(hashes) == 4


@pytest.mark.parametrize("field", ["edit_template", "evaluation_template"])
def test_a_base_model_is_rejected(field: str, make_study: Callable[..., Study], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has no chat template"):
        run_study(make_study(**{field: "chat"}), tmp_path / "run")


def test_an_in_context_editor_gets_plain_edits(chatty_study: Callable[..., Study], tmp_path: Path) -> None:
    """The template is applied after the facts are inserted; in the facts it would appear twice."""
    ike = {"name": "ike", "settings": {"n_demonstrations": 0, "retriever": "words"}}
    run_study(chatty_study(editors=["rome", ike], edit_template="chat"), tmp_path / "run")
    states = [path.read_text(encoding="utf-8") for path in (tmp_path / "run").rglob("edits.json")]
    assert any("Hometown of" in state or "Language of" in state for state in states)
    assert not any("User:" in state for state in states)


THINKING = CHATML.removesuffix("{% endif %}") + (
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def test_template_arguments_belong_to_every_result(
    chatty_study: Callable[..., Study], tmp_path: Path
) -> None:
    folder = Path(chatty_study().models[0])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = THINKING
    tokenizer.save_pretrained(folder)
    off = {"enable_thinking": False}
    keys = {}
    for edits, asked in (({}, {}), (off, {}), ({}, off)):
        to = tmp_path / f"{len(edits)}-{len(asked)}"
        study = chatty_study(
            edit_template="chat",
            edit_template_args=edits,
            evaluation_template="chat",
            evaluation_template_args=asked,
            max_thinking_tokens=4,
            checkpoints=[0, 1],
        )
        run_study(study, to)
        with open_store(to) as store:
            for one in store.measurements():
                assert one.template_args == asked
                assert one.edit_template_args == (edits if one.n_edits else {})
                assert one.think_end_token == "</think>"
                assert one.max_thinking_tokens == (0 if asked else 4)
            keys[len(edits), len(asked)] = {
                (one.trajectory, one.model_hash) for one in store.evaluations() if one.n_edits
            }
    assert len({trajectory for one in keys.values() for trajectory, _ in one}) == 2
    assert len({model for one in keys.values() for _, model in one}) == 3
    with pytest.raises(SequelaError, match="the run of another study"):
        run_study(study.model_copy(update={"evaluation_template_args": {}}), to)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"evaluation_template_args": {"enable_thinking": False}}, "needs evaluation_template: chat"),
        ({"edit_template_args": {"enable_thinking": False}}, "needs edit_template: chat"),
        ({"think_end_token": "</think>"}, "needs edit_template: chat or evaluation_template: chat"),
        ({"max_thinking_tokens": 4}, "max_thinking_tokens needs evaluation_template: chat"),
        ({"edit_template": "chat", "max_thinking_tokens": 4}, "needs evaluation_template: chat"),
        ({"evaluation_template": "chat", "think_end_token": " "}, "empty"),
        ({"evaluation_template": "chat", "max_thinking_tokens": 0}, "max_thinking_tokens"),
    ],
)
def test_fields_of_a_template_without_effect_are_rejected(
    fields: dict[str, object], message: str, make_study: Callable[..., Study]
) -> None:
    with pytest.raises(ValueError, match=message):
        make_study(**fields)
