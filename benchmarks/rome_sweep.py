"""ROME's layer and clamp: single edits over layers, clamps and variants.

    SEQUELA_DATA=<folder> python benchmarks/rome_sweep.py --layers 3 5 7 --clamps 4 2 --edits 20

Each edit is applied to the unedited model and reverted. The target value is optimized once per edit,
layer and clamp; the variants differ only in the keys they use. Edits come from the end of the CounterFact
source, so that settings chosen here can be tested on the first ones. Prints a line of JSON for each
configuration.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass

from sequela.edited import Delta, EditedModel
from sequela.editors.shared.contexts import sample_contexts
from sequela.editors.shared.keys import in_contexts, mean_weights, read_at_subject
from sequela.editors.shared.solve import rank_one
from sequela.editors.shared.target_optimization import TargetHyperparameters, optimize_targets
from sequela.edits import Edit, load_edits
from sequela.evaluation.edit_quality.measure import measure_edits
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel, load_model
from sequela.models.forward.activations import Site
from sequela.statistics import CorpusSpec, Statistics, Whitening

VARIANTS = ("original", "r-rome", "p-rome")


@dataclass(frozen=True)
class Setting:
    layer: int
    clamp: float
    steps: int


def deltas(
    model: LanguageModel, edit: Edit, setting: Setting, contexts: tuple[str, ...], whitening: Whitening
) -> tuple[dict[str, Delta], float]:
    """Returns the change of each variant, and the final loss of their common target."""
    keys, values = Site("key", setting.layer), Site("value", setting.layer)
    options = TargetHyperparameters(clamp_norm_factor=setting.clamp, v_num_grad_steps=setting.steps)
    (found,) = optimize_targets(model, [edit], contexts, [values], options)
    target = found[values]
    read = read_at_subject(model, in_contexts(model, edit, contexts), [keys, values])
    weights = mean_weights(len(contexts), bare_half=False)
    mean_key, bare_key = weights @ read[keys], read[keys][0]
    mean_value, bare_value = weights @ read[values], read[values][0]
    changes = {}
    for variant in VARIANTS:
        direction = whitening.solve((bare_key if variant == "p-rome" else mean_key)[:, None])[:, 0]
        key, value = (mean_key, mean_value) if variant == "r-rome" else (bare_key, bare_value)
        update = rank_one(direction, key, target.value - value)
        changes[variant] = Delta(model.fingerprint, {model.family.mlp_out_name(setting.layer): update})
    return changes, target.losses[-1].likelihood


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--layers", type=int, nargs="+", default=[3, 5, 7, 9])
    parser.add_argument("--clamps", type=float, nargs="+", default=[4.0])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--edits", type=int, default=20)
    given = parser.parse_args()

    model, engine = load_model(given.model), TorchEngine()
    edits = load_edits("counterfact")[-given.edits :]
    statistics = Statistics(model, CorpusSpec(source="wikitext2"))
    statistics.prepare(given.layers)
    contexts = sample_contexts(model, 5, seed=0)
    quality = EditQualitySettings(max_neighborhood=3)
    for setting in (Setting(i, clamp, given.steps) for i in given.layers for clamp in given.clamps):
        whitening = statistics.whitening(setting.layer)
        found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        losses, started = [], time.perf_counter()
        for edit in edits:
            changes, loss = deltas(model, edit, setting, contexts, whitening)
            losses.append(loss)
            for variant, delta in changes.items():
                found[(variant, "norm", "")].append(next(iter(delta.norms().values())))
                for item in measure_edits(EditedModel(model, delta), engine, [edit], "success@edit", quality):
                    found[(variant, item.metric, item.protocol)].append(item.value)
        for variant in VARIANTS:
            print(
                json.dumps(
                    {
                        "layer": setting.layer,
                        "clamp": setting.clamp,
                        "steps": setting.steps,
                        "variant": variant,
                        "n": len(edits),
                        "efficacy": _mean(found[(variant, "efficacy", "free_decoding")]),
                        "paraphrase": _mean(found[(variant, "paraphrase", "free_decoding")]),
                        "neighborhood": _mean(found[(variant, "neighborhood", "probability")]),
                        "target_loss": _mean(losses),
                        "largest_norm": max(found[(variant, "norm", "")]),
                        "seconds": time.perf_counter() - started,
                    }
                ),
                flush=True,
            )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
