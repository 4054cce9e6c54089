"""MEMIT's weight of the key covariance: single edits over layers, clamps and lambdas.

    SEQUELA_DATA=<folder> python benchmarks/memit_sweep.py --lasts 7 10 --weights 15000 1500 150 --edits 20

Each edit is applied to the unedited model, in a separate batch, and reverted. `lasts` are the last of the
five edited layers, `weights` the lambdas (`mom2_update_weight`). Target values don't depend on lambda, so
they are optimized once per edit and last layer. Edits come from the end of the CounterFact source, so that
settings chosen here can be tested on the first ones. Prints a line of JSON for each configuration.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from unittest import mock

from sequela.edited import EditedModel
from sequela.editors import Resources, create_editor
from sequela.editors.methods.memit.editor import Memit
from sequela.editors.shared.target_optimization import TargetHyperparameters, optimize_targets
from sequela.edits import load_edits
from sequela.evaluation.edit_quality.measure import measure_edits
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import load_model
from sequela.models.forward.activations import Site
from sequela.statistics import CorpusSpec, Statistics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--lasts", type=int, nargs="+", default=[7, 10])
    parser.add_argument("--weights", type=float, nargs="+", default=[15000.0, 1500.0, 150.0])
    parser.add_argument("--clamp", type=float, default=4.0)
    parser.add_argument("--edits", type=int, default=20)
    given = parser.parse_args()

    model, engine = load_model(given.model), TorchEngine()
    edits = load_edits("counterfact")[-given.edits :]
    resources = Resources(Statistics(model, CorpusSpec(source="wikitext2")))
    quality = EditQualitySettings(max_neighborhood=3)
    for last in given.lasts:
        layers = list(range(last - 4, last + 1))
        editors = {
            weight: create_editor(
                "memit",
                {"layers": layers, "mom2_update_weight": weight, "clamp_norm_factor": given.clamp},
            )
            for weight in given.weights
        }
        found: dict[tuple[float, str, str], list[float]] = defaultdict(list)
        for edit in edits:
            options = TargetHyperparameters(clamp_norm_factor=given.clamp)
            state = next(iter(editors.values())).prepare(model, resources)
            site = Site("block", last)
            (targets,) = optimize_targets(model, [edit], state.contexts, [site], options)
            for weight, editor in editors.items():
                with mock.patch.object(Memit, "find_targets", return_value=[targets[site]]):
                    outcome = editor.edit(model, [edit], state, resources)
                found[(weight, "norm", "")].append(outcome.reports[0].relative_norm)
                edited = EditedModel(model, outcome.delta)
                for item in measure_edits(edited, engine, [edit], "success@edit", quality):
                    found[(weight, item.metric, item.protocol)].append(item.value)
        for weight in given.weights:
            print(
                json.dumps(
                    {
                        "layers": layers,
                        "clamp": given.clamp,
                        "lambda": weight,
                        "n": len(edits),
                        "efficacy": _mean(found[(weight, "efficacy", "free_decoding")]),
                        "paraphrase": _mean(found[(weight, "paraphrase", "free_decoding")]),
                        "neighborhood": _mean(found[(weight, "neighborhood", "probability")]),
                        "largest_relative_norm": max(found[(weight, "norm", "")]),
                    }
                ),
                flush=True,
            )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
