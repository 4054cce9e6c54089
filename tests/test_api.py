"""The Python interface: edits apply within a block and leave no trace afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

import sequela
from sequela.api import Model
from sequela.core.errors import BadInputError, FingerprintMismatchError, SequelaError, UnknownNameError
from sequela.edited import EditedModel
from sequela.editors import BadEditPolicy
from sequela.editors.storage import read_description
from sequela.edits import Edit, EditSet
from sequela.evaluation.registry import make_suites
from sequela.inference import MemoryPlan
from sequela.models import LanguageModel
from sequela.results import open_store
from sequela.results.metrics import HIT_RATE
from sequela.statistics import CorpusSpec
from sequela.studies import Study, run_study
from support.runs import MessageLog
from support.studies import small_study
from support.tiny import tiny_language_model

ROME = {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 25}

BESIDE_THE_WEIGHTS: dict[str, dict[str, Any]] = {
    "grace": {"layers": [2], "num_steps": 30, "lr": 0.3},
    "wise": {"shard_size": 1, "n_contexts": 1},
    "melo": {"layers": [1, 2, 3], "num_steps": 20},
    "ike": {"n_demonstrations": 0, "retriever": "words"},
}
"""Settings of methods that change no weight."""


@pytest.fixture
def model(world_folder: Path) -> Model:
    return sequela.load_model(str(world_folder), device="cpu")


@pytest.fixture
def edits(world_edits: EditSet) -> tuple[Edit, ...]:
    return world_edits[:3]


def bits(model: Model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.base.module.state_dict().items()}


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class TestRequests:
    def test_generate_returns_what_the_model_knows(self, model: Model, edits: tuple[Edit, ...]) -> None:
        assert model.generate(edits[0].question, 8).strip().startswith(str(edits[0].target_true))

    def test_generate_stops_before_a_stop_text(self, model: Model, edits: tuple[Edit, ...]) -> None:
        assert "." not in model.generate(edits[0].question, 12, stop=(".",))

    def test_a_request_that_is_too_long_is_rejected(self, model: Model) -> None:
        with pytest.raises(SequelaError, match="the context of"):
            model.generate("Ada", max_new_tokens=10_000)
        with pytest.raises(SequelaError, match="the context of"):
            model.score("Ada plays " * 2000, "chess")

    def test_score_prefers_true_statements(self, model: Model, edits: tuple[Edit, ...]) -> None:
        edit = edits[0]
        true, new = (model.score(edit.question, str(t)) for t in (edit.target_true, edit.target_new))
        assert new < true < 0

    def test_perplexity_is_lower_on_training_text(self, model: Model, edits: tuple[Edit, ...]) -> None:
        own = " ".join(f"{edit.question} {edit.target_true}." for edit in edits)
        odd = " ".join(f"{edit.question} {edit.target_new}." for edit in edits)
        assert 1 < model.perplexity(own).value < model.perplexity(odd).value


class TestABlock:
    def test_the_edit_is_applied_and_every_bit_restored(self, model: Model, edits: tuple[Edit, ...]) -> None:
        before, said = bits(model), model.generate(edits[0].question, 8)
        with model.edited("ft-m", edits[:1], settings={"lr": 2e-3, "num_steps": 40}) as edited:
            inside = bits(model)
            assert edited.generate(edits[0].question, 8).strip().startswith(edits[0].target_new)
            assert [report.edit_id for report in edited.reports] == [edits[0].id]
        assert not same_bits(inside, before)
        assert same_bits(bits(model), before)
        assert model.generate(edits[0].question, 8) == said

    def test_every_bit_is_restored_when_the_block_raises(self, model: Model, edits: tuple[Edit, ...]) -> None:
        before = bits(model)
        with (
            pytest.raises(RuntimeError, match="in the middle"),
            model.edited("ft-m", edits[:2], settings={"num_steps": 3}, batch_size=2),
        ):
            raise RuntimeError("in the middle")
        assert same_bits(bits(model), before)
        assert model.base.changes == []

    def test_inside_a_block_the_unedited_model_is_unchanged(
        self, model: Model, edits: tuple[Edit, ...]
    ) -> None:
        question = edits[0].question
        said, score = model.generate(question, 8), model.score(question, edits[0].target_new)
        with model.edited("rome", edits[0], settings=ROME) as edited:
            inside = bits(model)
            assert model.generate(question, 8) == said
            assert model.score(question, edits[0].target_new) == score
            assert edited.score(question, edits[0].target_new) > score
            assert same_bits(bits(model), inside)

    def test_a_method_can_be_given_as_an_object(self, model: Model, edits: tuple[Edit, ...]) -> None:
        method = sequela.create_editor("ft-m", {"num_steps": 3})
        with model.edited(method, edits[:1]) as edited:
            assert edited.delta.updates
        with pytest.raises(BadInputError), model.edited(method, edits, settings={"num_steps": 3}):
            pass

    @pytest.mark.parametrize("none", [[], (), EditSet("none", ())])
    def test_no_edits_are_an_error(self, model: Model, none: Sequence[Edit]) -> None:
        before = bits(model)
        with pytest.raises(BadInputError, match="no edits to apply"), model.edited("ft-m", none):
            pass
        assert same_bits(bits(model), before)

    def test_edits_are_checked_as_those_of_a_study(self, model: Model, edits: tuple[Edit, ...]) -> None:
        first, again = edits[0], edits[0].model_copy(update={"id": "again"})
        with (
            pytest.raises(BadInputError, match="two edits with the id"),
            model.edited("ft-m", [first, first]),
        ):
            pass
        log = MessageLog()
        with model.edited("ft-m", [first, again], settings={"num_steps": 1}, progress=log):
            pass
        assert any("repeat an earlier one" in one for one in log.lines)

    def test_an_unknown_method_is_rejected_with_near_matches(
        self, model: Model, edits: tuple[Edit, ...]
    ) -> None:
        with pytest.raises(UnknownNameError, match="'rome'"), model.edited("romee", edits):
            pass


class TestOptions:
    """The options of `sequela edit`: contexts, seed, handling of bad edits, statistics."""

    def test_contexts_are_sampled_with_the_seed_or_given(self, model: Model, edits: tuple[Edit, ...]) -> None:
        def change(**options: Any) -> str:
            settings = {**ROME, "n_contexts": 2, "v_num_grad_steps": 3}
            with model.edited("rome", edits[0], settings=settings, **options) as edited:
                return edited.delta.content_hash

        own = ["{}", f"{edits[1].question} {edits[1].target_true}. {{}}"]
        assert change() == change(seed=0) != change(seed=1)
        assert change(contexts=own) == change(contexts=own, seed=1) != change()
        with pytest.raises(BadInputError, match="Context 2"):
            change(contexts=["{}", "The sea."])

    def test_bad_edits_are_reported_skipped_or_end_it(self, model: Model, edits: tuple[Edit, ...]) -> None:
        settings = {"lr": 2e-3, "num_steps": 4}
        for action, dropped in {"report": 0, "skip": 3, "stop": 1}.items():
            policy = BadEditPolicy.model_validate({"action": action, "relative_norm": 1e-9})
            with model.edited("ft-m", edits, settings=settings, on_bad_edit=policy) as edited:
                assert sum(bool(report.dropped) for report in edited.reports) == dropped
                assert len(edited.reports) == (1 if action == "stop" else 3)
                assert bool(edited.delta.updates) == (action == "report")
                assert all("explosive" in (one.dropped or one.warning) for one in edited.reports)
        with model.edited("ft-m", edits[:1], settings=settings, on_bad_edit="skip") as edited:
            assert not edited.reports[0].dropped  # the usual limit is far above such an edit
        with (
            pytest.raises(UnknownNameError, match="'stopp'"),
            model.edited("ft-m", edits, on_bad_edit="stopp"),
        ):
            pass

    def test_the_text_of_statistics_can_be_named(
        self, model: Model, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        text = tmp_path / "text.txt"
        text.write_text(" ".join(f"{edit.question} {edit.target_true}." for edit in edits) * 400)
        settings = {**ROME, "mom2_adjustment": True, "v_num_grad_steps": 3}

        def change(statistics: CorpusSpec | str | None) -> str:
            with model.edited("rome", edits[0], settings=settings, statistics=statistics) as edited:
                return edited.delta.content_hash

        assert change(str(text)) == change(CorpusSpec(source=str(text))) != change(None)

    @pytest.mark.parametrize("wrong", ["counterfact", [{"prompt": "x"}]])
    def test_what_is_no_edit_is_rejected(self, model: Model, wrong: Any) -> None:
        with pytest.raises(BadInputError, match="is not an edit"), model.edited("ft-m", wrong):
            pass

    @pytest.mark.parametrize("size", [0, "a"])
    def test_an_invalid_batch_size_is_rejected(
        self, model: Model, edits: tuple[Edit, ...], size: Any
    ) -> None:
        with (
            pytest.raises(BadInputError, match="Invalid batch size"),
            model.edited("ft-m", edits, batch_size=size),
        ):
            pass


class TestEvaluate:
    def test_suites_are_named_with_or_without_options(self, model: Model) -> None:
        found = model.evaluate([{"name": "builtin", "categories": ["arithmetic"]}, "perplexity"], limit=2)
        assert [(one.suite, one.task) for one in found[:1]] == [("builtin", "arithmetic")]
        assert all(one.n == 2 for one in found if one.suite == "builtin")
        assert {one.suite for one in found} == {"builtin", "perplexity"}
        (suite,) = make_suites([{"name": "builtin", "limit": 1}], limit=2)
        (once,) = {one.n for one in model.evaluate([suite])}
        assert once == 1

    def test_inside_a_block_each_model_is_measured_with_its_own_edits(
        self, model: Model, edits: tuple[Edit, ...]
    ) -> None:
        before = model.evaluate(["perplexity"])
        with model.edited("ft-m", edits[:1], settings={"lr": 2e-3, "num_steps": 40}) as edited:
            inside = bits(model)
            assert model.evaluate(["perplexity"]) == before
            assert edited.evaluate(["perplexity"]) != before
            assert same_bits(bits(model), inside)

    def test_hits_of_memory_based_methods_are_counted(self, model: Model, edits: tuple[Edit, ...]) -> None:
        settings = BESIDE_THE_WEIGHTS["grace"]
        with model.edited("grace", edits[:1], settings=settings) as edited:
            metrics = {one.metric for one in edited.evaluate(["builtin"], limit=1)}
        assert HIT_RATE.name in metrics
        assert HIT_RATE.name not in {one.metric for one in model.evaluate(["builtin"], limit=1)}

    def test_invalid_options_are_named(self, model: Model) -> None:
        with pytest.raises(UnknownNameError, match="suite 'builtn'"):
            model.evaluate(["builtn"])
        with pytest.raises(BadInputError, match="has no option 'limits'"):
            model.evaluate([{"name": "builtin", "limits": 2}])
        with pytest.raises(BadInputError, match="has no name"):
            model.evaluate([{"limit": 2}])
        with pytest.raises(UnknownNameError, match="template 'chatt'"):
            model.evaluate(template="chatt")
        with pytest.raises(BadInputError, match="has no chat template"):
            model.evaluate(template="chat")

    def test_one_string_is_no_list_of_suites(self, model: Model) -> None:
        with pytest.raises(BadInputError, match="are one string"):
            model.evaluate("perplexity")

    def test_questions_can_be_asked_in_the_chat_template(self, model: Model) -> None:
        plain = model.evaluate(["builtin"], limit=2)
        model.base.tokenizer.chat_template = (
            "{% for message in messages %}Ada {{ message.content }}. {% endfor %}"
        )
        assert model.evaluate(["builtin"], limit=2) == plain
        assert model.evaluate(["builtin"], limit=2, template="chat") != plain


class TestEngines:
    def test_the_same_edits_answer_on_another_engine(self, model: Model, edits: tuple[Edit, ...]) -> None:
        text, before = edits[0].question, bits(model)
        with (
            model.edited("rome", edits[0], settings=ROME) as edited,
            edited.on_engine("torch", memory=2**33) as other,
        ):
            assert other.engine is not edited.engine
            assert other.score(text, " x") == pytest.approx(edited.score(text, " x"), abs=1e-5)
            assert other.generate(text, 4) == edited.generate(text, 4)
            assert other.reports == edited.reports
        assert same_bits(bits(model), before)

    def test_an_unknown_engine_is_rejected_with_near_matches(self, model: Model) -> None:
        with pytest.raises(UnknownNameError, match="torch"), model.on_engine("trch"):
            pass


class TestNestedBlocks:
    @pytest.mark.parametrize(("method", "settings"), [("rome", ROME), ("ft-m", {"num_steps": 4})])
    def test_their_edits_are_combined(
        self, model: Model, edits: tuple[Edit, ...], method: str, settings: dict[str, float]
    ) -> None:
        before = bits(model)
        with model.edited(method, edits[:2], settings=settings) as at_once:
            together = bits(at_once)
        with model.edited(method, edits[:1], settings=settings) as first:
            alone = bits(first)
            with first.edited(method, edits[1:2], settings=settings) as both:
                assert same_bits(bits(both), together)
                assert [report.edit_id for report in both.reports] == [edits[0].id, edits[1].id]
            assert same_bits(bits(first), alone)
        assert same_bits(bits(model), before)

    def test_a_block_on_the_unedited_model_ignores_the_enclosing_one(
        self, model: Model, edits: tuple[Edit, ...]
    ) -> None:
        with model.edited("ft-m", edits[:1], settings={"num_steps": 4}) as apart:
            expected = bits(apart)
        with model.edited("rome", edits[1:2], settings=ROME) as around:
            outer = bits(around)
            with model.edited("ft-m", edits[:1], settings={"num_steps": 4}) as inner:
                assert same_bits(bits(inner), expected)
            assert same_bits(bits(around), outer)

    def test_statistics_are_those_of_the_unedited_model(
        self, model: Model, edits: tuple[Edit, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        corpus = CorpusSpec(n_tokens=2560, window=64)
        found = []
        for place in ("plain", "inside"):
            monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / place))
            settings = {**ROME, "mom2_adjustment": True}
            if place == "plain":
                with model.edited("rome", edits[:1], settings=settings, statistics=corpus):
                    pass
            else:
                with (
                    model.edited("ft-m", edits[1:2], settings={"num_steps": 4}) as outer,
                    outer.edited("rome", edits[:1], settings=settings, statistics=corpus),
                ):
                    pass
            found.append({path.name: path.read_bytes() for path in tmp_path.rglob(f"{place}/**/layer_*")})
        assert found[0]
        assert found[0] == found[1]

    def test_every_bit_is_restored_when_the_inner_block_raises(
        self, model: Model, edits: tuple[Edit, ...]
    ) -> None:
        before = bits(model)
        with model.edited("ft-m", edits[:1], settings={"num_steps": 3}) as outer:
            alone = bits(outer)
            with pytest.raises(RuntimeError), outer.edited("ft-m", edits[1:], settings={"num_steps": 3}):
                raise RuntimeError
            assert same_bits(bits(outer), alone)
        assert same_bits(bits(model), before)


class TestSavedEdits:
    def test_a_saved_delta_is_restored_bit_for_bit(
        self, model: Model, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        before = bits(model)
        with model.edited("rome", edits[:1], settings=ROME) as edited:
            edited.save_edits(tmp_path / "delta")
            inside = bits(model)
        with model.load_edits(tmp_path / "delta") as again:
            assert same_bits(bits(again), inside)
        assert same_bits(bits(model), before)

    def test_saved_edits_are_applied_on_top_of_the_active_ones(
        self, model: Model, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        with model.edited("rome", edits[:1], settings=ROME) as edited:
            edited.save_edits(tmp_path)
        with model.edited("ft-m", edits[1:2], settings={"num_steps": 4}) as outer:
            with outer.load_edits(tmp_path) as both:
                assert set(both.delta.updates) == {*edited.delta.updates, *outer.delta.updates}
                both.save_edits(tmp_path / "both")
            expected = outer.delta + edited.delta
        with model.load_edits(tmp_path / "both") as again:
            assert again.delta.content_hash == expected.content_hash

    @pytest.mark.parametrize("method", BESIDE_THE_WEIGHTS)
    def test_edits_that_change_no_weight_are_restored_too(
        self, method: str, model: Model, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        with model.edited(method, edits[:2], settings=BESIDE_THE_WEIGHTS[method]) as edited:
            edited.save_edits(tmp_path)
            said = [edited.score(edit.question, edit.target_new) for edit in edits]
            content = edited.current.content_hash
        with model.load_edits(tmp_path) as again:
            assert again.current.content_hash == content
            assert [again.score(edit.question, edit.target_new) for edit in edits] == said
            again.save_edits(tmp_path / "again")
        assert said != [model.score(edit.question, edit.target_new) for edit in edits]
        kept, once_more = read_description(tmp_path), read_description(tmp_path / "again")
        assert kept == once_more
        assert (kept.method, kept.edits) == (method, tuple(edit.id for edit in edits[:2]))

    def test_edits_of_nested_blocks_are_saved_together(
        self, model: Model, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        with (
            model.edited("grace", edits[:1], settings=BESIDE_THE_WEIGHTS["grace"]) as first,
            first.edited("ft-m", edits[1:2], settings={"num_steps": 4}) as second,
            second.edited("ike", edits[2:3], settings=BESIDE_THE_WEIGHTS["ike"]) as third,
        ):
            third.save_edits(tmp_path)
            content = third.current.content_hash
        with model.load_edits(tmp_path) as again:
            assert again.current.content_hash == content
            assert [one.description.name for one in again.methods] == ["grace", "ft-m", "ike"]
        assert read_description(tmp_path).edits == tuple(edit.id for edit in edits)

    def test_a_run_s_checkpoint_can_be_loaded(
        self, model: Model, world_folder: Path, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        file = tmp_path / "facts.jsonl"
        file.write_text("".join(f"{edit.model_dump_json()}\n" for edit in edits[:1]), encoding="utf-8")
        editors = [{"name": "grace", "settings": BESIDE_THE_WEIGHTS["grace"]}]
        changes = {"editors": editors, "suites": [], "checkpoints": [0, 1]}
        run_study(Study.model_validate(small_study(world_folder, file, **changes)), tmp_path / "run")
        (folder,) = (tmp_path / "run" / "checkpoints").glob("*/1")
        with open_store(tmp_path / "run") as store:
            (measured,) = {key.model_hash for key in store.evaluations() if key.n_edits == 1}
        with model.load_edits(folder) as again:
            assert again.current.content_hash == measured
            assert again.generate(edits[0].question, 8).strip().startswith(edits[0].target_new)

    def test_a_model_without_edits_saves_nothing(
        self, model: Model, edits: tuple[Edit, ...], tmp_path: Path
    ) -> None:
        folder = tmp_path / "none"
        with pytest.raises(BadInputError, match="no edits to save"):
            model.save_edits(folder)
        every = BadEditPolicy(action="skip", relative_norm=1e-9)
        with model.edited("ft-m", edits[:1], settings={"num_steps": 2}, on_bad_edit=every) as dropped:
            with pytest.raises(BadInputError, match=f"{edits[0].id} was dropped"):
                dropped.save_edits(folder)
            with dropped.edited("ft-m", edits[1:2], settings={"num_steps": 2}) as edited:
                edited.save_edits(folder)
        assert read_description(folder).edits == (edits[1].id,)

    def test_another_model_rejects_it(self, model: Model, edits: tuple[Edit, ...], tmp_path: Path) -> None:
        with model.edited("ft-m", edits[:1], settings={"num_steps": 2}) as edited:
            edited.save_edits(tmp_path)
        other: LanguageModel = tiny_language_model("llama")
        with (
            pytest.raises(FingerprintMismatchError, match=model.base.fingerprint),
            Model(EditedModel(other)).load_edits(tmp_path),
        ):
            pass


NOT_TEXT: tuple[Any, ...] = (None, 3, -1, math.nan, True, b"x", [], ["a"], {}, object())
NOT_COUNT: tuple[Any, ...] = (None, 0, -1, math.nan, 2.5, "3", True, [], [1], object())
NOT_SIZE: tuple[Any, ...] = ("", "much", -1, math.nan, 2.5, True, [], object())
NOT_LIST: tuple[Any, ...] = (None, 3, math.nan, "text", {"a": 1}, [3], [None], object())
NOT_TABLE: tuple[Any, ...] = (3, math.nan, "text", [], [1], [("a", 1)], {1: 2}, object())

CHECKED: dict[str, tuple[Callable[[Model, Any], Any], tuple[Any, ...]]] = {
    "load_model name": (lambda _, v: sequela.load_model(v), NOT_TEXT),
    "load_model device": (lambda _, v: sequela.load_model("x", device=v), NOT_TEXT[1:]),
    "load_model device_map": (lambda _, v: sequela.load_model("x", device_map=v), (*NOT_TEXT[1:], "gpu")),
    "load_model dtype": (lambda _, v: sequela.load_model("x", dtype=v), NOT_TEXT),
    "load_model memory": (lambda _, v: sequela.load_model("x", memory=v), NOT_SIZE),
    "load_edits source": (lambda _, v: sequela.load_edits(v), NOT_TEXT),
    "load_edits path": (lambda _, v: sequela.load_edits("jsonl", v), ("", *NOT_TEXT[1:])),
    "load_edits limit": (lambda _, v: sequela.load_edits("builtin", limit=v), NOT_COUNT[1:]),
    "create_editor name": (lambda _, v: sequela.create_editor(v), NOT_TEXT),
    "create_editor settings": (lambda _, v: sequela.create_editor("ft-m", v), NOT_TABLE),
    "EditSet name": (lambda _, v: EditSet(v, ()), NOT_TEXT),
    "EditSet edits": (lambda _, v: EditSet("x", v), NOT_LIST),
    "EditSet skipped": (lambda _, v: EditSet("x", (), v), NOT_LIST),
    "first": (lambda _, v: EditSet("x", (A_FACT,)).first(v), NOT_COUNT),
    "shuffled": (lambda _, v: EditSet("x", (A_FACT,)).shuffled(v), (None, math.nan, "3", [], 2**64)),
    "Edit": (lambda _, v: Edit(id="1", prompt="x", target_new=v), (None, "", 3, [], math.nan)),
    "Edit neighborhood": (
        lambda _, v: Edit(id="1", prompt="x", target_new="y", neighborhood=v),
        (None, 3, "x", [3]),
    ),
    "Probe": (lambda _, v: sequela.Probe(prompt=v), (None, "", 3, [], math.nan)),
    "Model": (lambda _, v: Model(v), (None, 3, "x")),
    "generate prompt": (lambda model, v: model.generate(v), NOT_TEXT),
    "generate max_new_tokens": (lambda model, v: model.generate("Ada", v), NOT_COUNT),
    "generate stop": (lambda model, v: model.generate("Ada", stop=v), (*NOT_LIST, ("",))),
    "score prompt": (lambda model, v: model.score(v, "x"), NOT_TEXT),
    "score continuation": (lambda model, v: model.score("Ada", v), NOT_TEXT),
    "perplexity": (lambda model, v: model.perplexity(v), NOT_TEXT),
    "editor": (lambda model, v: entered(model.edited(v, A_FACT)), NOT_TEXT),
    "edits": (lambda model, v: entered(model.edited("ft-m", v)), NOT_LIST),
    "settings": (lambda model, v: entered(model.edited("ft-m", [], settings=v)), NOT_TABLE),
    "batch_size": (lambda model, v: entered(model.edited("ft-m", [], batch_size=v)), NOT_COUNT),
    "contexts": (lambda model, v: entered(model.edited("ft-m", [], contexts=v)), (*NOT_LIST[1:], [])),
    "seed": (lambda model, v: entered(model.edited("ft-m", [], seed=v)), (None, math.nan, "3", [], 2**64)),
    "on_bad_edit": (lambda model, v: entered(model.edited("ft-m", [], on_bad_edit=v)), NOT_TEXT),
    "statistics": (lambda model, v: entered(model.edited("ft-m", [], statistics=v)), NOT_TEXT[1:]),
    "progress": (lambda model, v: entered(model.edited("ft-m", [], progress=v)), NOT_TEXT),
    "suites": (lambda model, v: model.evaluate(v), (*NOT_LIST, [{}], [{1: 2}], [{"name": 3}])),
    "limit": (lambda model, v: model.evaluate(["perplexity"], limit=v), NOT_COUNT[1:]),
    "template": (lambda model, v: model.evaluate([], template=v), NOT_TEXT),
    "evaluate progress": (lambda model, v: model.evaluate([], progress=v), NOT_TEXT),
    "on_engine": (lambda model, v: entered(model.on_engine(v)), NOT_TEXT),
    "on_engine memory": (lambda model, v: entered(model.on_engine("torch", memory=v)), NOT_SIZE),
    "on_engine progress": (lambda model, v: entered(model.on_engine("torch", progress=v)), NOT_TEXT),
    "load_edits folder": (lambda model, v: entered(model.load_edits(v)), ("", *NOT_TEXT)),
    "save_edits": (lambda model, v: model.save_edits(v), ("", *NOT_TEXT)),
}
"""Each argument of the public functions: a call with it, and values that it can't have."""

A_FACT = Edit(id="1", subject="Ada", prompt="{} plays", target_new="chess")


def entered(block: AbstractContextManager[Model]) -> None:
    with block:
        pass


@pytest.fixture(scope="module")
def tiny() -> Model:
    return Model(EditedModel(tiny_language_model("llama")))


class TestArguments:
    @pytest.mark.parametrize("argument", CHECKED)
    def test_a_wrong_one_is_reported_in_words(self, tiny: Model, argument: str) -> None:
        call, values = CHECKED[argument]
        for value in values:
            with pytest.raises(BadInputError) as caught:
                call(tiny, value)
            assert " object at 0x" not in str(caught.value), value
            assert "pydantic" not in str(caught.value), value

    @pytest.mark.parametrize("memory", ["2GiB", "2147483648", 2**31])
    def test_a_memory_limit_may_have_a_unit(self, world_folder: Path, memory: int | str) -> None:
        expected = MemoryPlan.within(2**31, self.load(world_folder).base).working
        assert self.load(world_folder, memory=memory).engine.memory == expected  # type: ignore[attr-defined]
        with self.load(world_folder).on_engine("torch", memory=memory) as model:
            assert model.engine.memory == expected  # type: ignore[attr-defined]

    def load(self, folder: Path, **options: Any) -> Model:
        return sequela.load_model(str(folder), device="cpu", **options)

    def test_a_folder_that_cannot_be_written_is_reported(self, tiny: Model, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with (
            tiny.edited("ft-m", A_FACT, settings={"num_steps": 1}) as edited,
            pytest.raises(SequelaError, match="Can't write to"),
        ):
            edited.save_edits(tmp_path / "file" / "edits")


def test_public_names_exist_and_unknown_ones_do_not() -> None:
    for name in sequela.__all__:
        assert getattr(sequela, name) is not None
    with pytest.raises(AttributeError, match="edit_everything"):
        sequela.edit_everything  # noqa: B018
