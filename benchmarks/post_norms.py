"""Edits of a model with a norm between the MLP and the residual stream, as in Gemma 2 and 3 and OLMo 2.

    PYTHONPATH=tests python -m benchmarks.post_norms
    SEQUELA_DATA=<folder> python -m benchmarks.post_norms --model gemma3-270m --edits 50

Each edit is applied to the unedited model, by each method. Without `--model`, the model is a small one of the
Gemma 3 family, which is first trained on the invented facts of `tests/support/world.py`; the settings are
those of the tests on its Llama. With it, edits come from CounterFact and settings from the presets. Prints a
line of JSON for each method.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from sequela.editors import Resources, create_editor
from sequela.editors.session import EditSession
from sequela.edits import Edit, load_edits
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, measure_edits
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel, load_model
from sequela.statistics import CorpusSpec, Statistics

TARGET = {
    "v_num_grad_steps": 30,
    "v_lr": 0.2,
    "clamp_norm_factor": 6.0,
    "kl_factor": 0.01,
    "v_weight_decay": 0.1,
}
METHODS: dict[str, dict[str, Any]] = {
    "rome": {**TARGET, "layers": [0]},
    "memit": {**TARGET, "layers": [0, 1], "mom2_update_weight": 300},
    "emmet": {**TARGET, "layers": [0, 1], "emmet_lambda": 1},
    "alphaedit": {**TARGET, "layers": [0, 1], "L2": 1},
}
"""The methods, with their settings on the small model."""
QUALITY = EditQualitySettings(max_new_tokens=8, max_neighborhood=5)


def main() -> None:
    """Edits with each method and prints the quality of the edits and the size of the changes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="A model; by default a small one that is trained on invented facts.")
    parser.add_argument("--edits", type=int, default=10)
    parser.add_argument("--cache", type=Path, help="The folder for the trained model.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if given.model is None:
            model, edits, resources = small_world(given.cache or Path(temporary), given.edits)
        else:
            model, edits = load_model(given.model), load_edits("counterfact", limit=given.edits)
            resources = Resources.for_model(model)
        for name, settings in METHODS.items():
            editor = create_editor(name, settings if given.model is None else {})
            session = EditSession(model, editor, resources).with_preset()
            print(json.dumps({"model": model.name, "method": name, **measured(session, edits)}), flush=True)


def small_world(cache: Path, count: int) -> tuple[LanguageModel, Sequence[Edit], Resources]:
    """Returns the small model, edits of facts that it knows, and the statistics of its training text."""
    from support.world import build_world, load_world_model, trained_world_model

    world = build_world()
    model = load_world_model(trained_world_model(world, cache, "gemma3"))
    text = cache / "read.txt"
    text.write_text("\n".join(s for fact in world.facts for s in fact.sentences), encoding="utf-8")
    spec = CorpusSpec(source=str(text), n_tokens=4096, window=64)
    # The last phrasing ends with the subject.
    return model, tuple(world.edits(count, -1)), Resources(Statistics(model, spec, cache))


def measured(session: EditSession, edits: Sequence[Edit]) -> dict[str, Any]:
    """Returns the mean quality by free decoding, and the mean and largest change relative to the weight."""
    engine, norms, values = TorchEngine(), list[float](), defaultdict[str, list[float]](list)
    for edit in edits:
        result = session.apply_batch([edit], session.start())
        norms.append(result.reports[0].relative_norm)
        for item in measure_edits(session.edited(result), engine, [edit], SUCCESS_AT_EDIT, QUALITY):
            if item.protocol == "free_decoding" and item.value is not None:
                values[item.metric].append(item.value)
    quality = {metric: round(fmean(found), 3) for metric, found in values.items()}
    return {"n": len(edits), **quality, "norm": round(fmean(norms), 4), "largest_norm": round(max(norms), 4)}


if __name__ == "__main__":
    main()
