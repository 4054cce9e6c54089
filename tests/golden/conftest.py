"""The reference numbers and the real model that they were computed with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sequela.core.errors import SequelaError
from sequela.editors.methods.rome import editor
from sequela.editors.shared import multi_layer
from sequela.editors.shared.target_optimization import Target, optimize_targets
from sequela.models import LanguageModel, load_model
from sequela.models.forward.activations import Site
from sequela.statistics import Corpus, Statistics
from support.oracle import Case, open_case


@pytest.fixture(scope="session")
def oracle() -> Path:
    """The folder of reference numbers; the test is skipped if there is none."""
    sibling = Path(__file__).parents[2].parent / "shared" / "golden"
    folder = Path(os.environ.get("SEQUELA_GOLDEN") or sibling)
    if not (folder / "shared" / "tensors.safetensors").is_file():
        pytest.skip("no reference numbers: SEQUELA_GOLDEN is not set")
    return folder


@pytest.fixture(scope="session")
def case(oracle: Path) -> Callable[[str], Case]:
    """The function that opens a case by name."""
    return lambda name: open_case(oracle, name)


@pytest.fixture(scope="session")
def real_model(oracle: Path) -> LanguageModel:
    """The model of the reference, downloaded if necessary; the test is skipped if it is not available."""
    try:
        return load_model("smollm2-135m-instruct")
    except SequelaError as error:
        pytest.skip(f"the model of the reference is not available: {error}")


@pytest.fixture(scope="session")
def statistics(oracle: Path, real_model: LanguageModel, request: pytest.FixtureRequest) -> Statistics:
    """Key statistics over the reference's corpus, which are kept between runs of the tests."""
    token_ids = load_file(oracle / "shared" / "tensors.safetensors")["corpus_ids"].to(torch.long)
    folder = Path(request.config.cache.mkdir("sequela-golden"))
    return Statistics(real_model, folder=folder, corpus=Corpus.of("the reference's corpus", token_ids))


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """The optimized targets of each edit at the edited site, in order."""
    recorded: list[Target] = []

    def recording(
        model: LanguageModel,
        edits: object,
        contexts: object,
        sites: Sequence[Site],
        *args: Any,
        **kwargs: Any,
    ) -> list[dict[Site, Target]]:
        by_edit = optimize_targets(model, edits, contexts, sites, *args, **kwargs)  # type: ignore[arg-type]
        recorded.extend(targets[sites[0]] for targets in by_edit)
        return by_edit

    for module in (editor, multi_layer):
        monkeypatch.setattr(module, "optimize_targets", recording)
    return recorded
