"""Reference numbers of another implementation: reading them, and the tolerances of comparisons.

A folder for each case: `case.json` (the settings) and `tensors.safetensors` (the results). The
tolerances follow from the reference's own noise, for an independent implementation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sequela.edited import Delta, EditedModel, WeightUpdate
from sequela.editors.shared.target_batch import ESSENCE_PROMPT
from sequela.editors.shared.target_optimization import Target
from sequela.edits import Edit
from sequela.inference import TorchEngine, generation_request, score_request
from sequela.models import LanguageModel, tokenize_prompt

KEYS, TARGETS, CHANGE, RECOMPUTED = 1e-4, 1e-3, 2e-3, 1e-5
"""Relative tolerances: of what is read from the model, of optimised values, of the change of
weights, and of linear algebra on the reference's own intermediate values."""
CONTINUATION = 12
"""The number of tokens of each greedy continuation."""

TARGET_SETTINGS = ("v_num_grad_steps", "v_lr", "v_weight_decay", "clamp_norm_factor", "kl_factor")


@dataclass(frozen=True)
class Case:
    """One run of the reference.

    Args:
        name: The case.
        content: The content of `case.json`.
        tensors: The numbers.
        shared: Random matrices and statistics that all cases share.
    """

    name: str
    content: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    shared: dict[str, torch.Tensor]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits that the reference made."""
        return tuple(Edit(id=str(n), **request) for n, request in enumerate(self.content["requests"]))

    @property
    def contexts(self) -> tuple[str, ...]:
        """The context templates, the empty one first."""
        types = self.content.get("context_types") or [self.content["context_templates"]]
        return tuple(template for group in types for template in group)

    @property
    def target_settings(self) -> dict[str, Any]:
        """The settings of target optimization."""
        return {name: self.content["hparams"][name] for name in TARGET_SETTINGS}

    @property
    def layers(self) -> list[int]:
        """The edited layers."""
        found: list[int] = self.content["hparams"]["layers"]
        return found


def open_case(folder: Path, name: str) -> Case:
    """Reads a case."""
    return Case(
        name,
        json.loads((folder / name / "case.json").read_text(encoding="utf-8")),
        load_file(folder / name / "tensors.safetensors"),
        load_file(folder / "shared" / "tensors.safetensors"),
    )


def near(found: torch.Tensor, wanted: torch.Tensor, tolerance: float, what: str) -> None:
    """Asserts that a tensor is near the reference's, by the norm of the difference."""
    assert found.shape == wanted.shape, what
    distance = float((found.double() - wanted.double()).norm() / wanted.double().norm())
    assert distance < tolerance, f"{what}: {distance:.1e} away"


def check_prompts(case: Case, model: LanguageModel) -> None:
    """Checks token ids and subject positions exactly; the essence prompt is the last row."""
    for edit, reported in zip(case.edits, case.content["edits"], strict=True):
        rewrites = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
            for context in case.contexts
        ]
        assert list(rewrites[0].target_ids) == reported["target_ids"]
        rows = [(list(prompt.ids[:-1]), prompt.subject_last) for prompt in rewrites]
        essence = tokenize_prompt(model.tokenizer, ESSENCE_PROMPT, edit.subject)
        rows.append((list(essence.ids), essence.subject_last))
        assert rows == [(row["ids"], row["subject_last_index"]) for row in reported["optimisation_prompts"]]


def check_target(
    case: Case, target: Target, prefix: str, initial: str, value: str, delta: str = "delta"
) -> None:
    """Checks losses step by step, the optimized change, and the value; their names differ by method."""
    wanted = case.tensors[f"{prefix}losses"]
    found = torch.tensor(
        [[step.total, step.likelihood, step.kl, step.weight_decay] for step in target.losses],
        dtype=torch.float64,
    )
    assert len(found) == len(wanted), f"{case.name} {prefix}: steps"
    assert float((found - wanted)[:4].abs().max()) < 1e-4, f"{case.name} {prefix}: first losses"
    assert float((found - wanted).abs().max()) < 1e-3, f"{case.name} {prefix}: losses"
    near(target.initial, case.tensors[f"{prefix}{initial}"], KEYS, f"{case.name} {prefix}initial")
    near(target.delta, case.tensors[f"{prefix}{delta}"], TARGETS, f"{case.name} {prefix}delta")
    near(target.value, case.tensors[f"{prefix}{value}"], TARGETS, f"{case.name} {prefix}value")


def check_change(
    case: Case, name: str, update: WeightUpdate | torch.Tensor, part: str = "", tolerance: float = CHANGE
) -> None:
    """Checks the norm and the two projections of a weight's change; `part` as in `edit0/` or `total/`."""
    change = update if isinstance(update, torch.Tensor) else update.to_dense()
    reported = {
        key: case.tensors[f"W/{part}{name}/{key}"] for key in ("delta_norm", "delta_at_Rin", "RoutT_at_delta")
    }
    rows, columns = change.shape
    near(change.norm()[None], reported["delta_norm"], tolerance, f"{case.name} {part}{name}: norm")
    right = change @ case.shared[f"R_in/{columns}"].double()
    near(right, reported["delta_at_Rin"], tolerance, f"{case.name} {part}{name}: Delta R_in")
    left = case.shared[f"R_out/{rows}"].double().T @ change
    near(left, reported["RoutT_at_delta"], tolerance, f"{case.name} {part}{name}: R_out^T Delta")


def check_behavior(
    case: Case, model: LanguageModel, change: Delta | EditedModel | None, when: str, tolerance: float
) -> None:
    """Checks log-probabilities of both answers after every prompt, and greedy continuations if stored."""
    edited, engine = change if isinstance(change, EditedModel) else EditedModel(model, change), TorchEngine()
    prompts = case.content["evaluation"]["prompts"]
    requests = [
        score_request(edited, prompt["text"], answer)
        for prompt in prompts
        for edit in case.edits
        for answer in (edit.target_new, edit.target_true or "")
    ]
    assert [list(request.context) for request in requests[:: 2 * len(case.edits)]] == [
        p["ids"] for p in prompts
    ]
    wanted = case.tensors[f"logprob_{when}"]
    scores = torch.tensor([score.logprob for score in engine.score(edited, requests)], dtype=torch.float64)
    distance = float((scores.reshape(wanted.shape) - wanted).abs().max())
    assert distance < tolerance, f"{case.name} {when}: log-probabilities {distance:.1e} apart"
    if f"continuation_{when}" not in case.tensors:
        return
    asked = [generation_request(edited, prompt["text"], CONTINUATION) for prompt in prompts]
    generated: Sequence[Sequence[int]] = [answer.ids for answer in engine.generate(edited, asked)]
    for row, ids in zip(case.tensors[f"continuation_{when}"].tolist(), generated, strict=True):
        assert row[: len(ids)] == list(ids), f"{case.name} {when}: {ids}"
        assert len(ids) == CONTINUATION or row[len(ids)] in model.end_ids or ids[-1] in model.end_ids
