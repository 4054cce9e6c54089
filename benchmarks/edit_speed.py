"""Editing speed: Sequela's ROME and MEMIT compared with a literal implementation of the algorithm.

    SEQUELA_DATA=<folder> python benchmarks/edit_speed.py

The literal implementation (`reference`; `examples/rome_in_one_file.py` through `support/literal_editing.py`)
runs the whole model over all positions, computes logits everywhere, and optimizes one edit's target at a
time. Both compute the same edits from the unedited model, with the same contexts and statistics, in
alternating rounds; their changes must agree within 1e-3 of their norm. ROME computes one edit at a time,
MEMIT a batch.
"""

from __future__ import annotations

from typing import Any

from sequela.edited import Delta
from sequela.editors import Resources, create_editor
from sequela.editors.shared.contexts import sample_contexts
from sequela.editors.shared.target_optimization import TargetHyperparameters
from sequela.edits import load_edits
from sequela.statistics import CorpusSpec, Statistics
from support.literal_editing import literal_memit, literal_rome
from support.program import Log, begin, end, load, options, run
from support.timing import Timed, take_turns

ROME_LAYER, MEMIT_LAYERS = 7, (6, 7, 8, 9, 10)
"""The layers that Sequela's ROME and MEMIT edit in the default model."""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--edits", type=int, default=10)
    parser.add_argument(
        "--rome-contexts", type=int, default=20, help="sampled contexts in addition to the bare prompt"
    )
    parser.add_argument("--memit-contexts", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="maximum number of loss evaluations")
    given = parser.parse_args()
    begin(given)
    log = Log()
    model = load(given, log)
    edits = tuple(load_edits("counterfact"))[: 2 if given.quick else given.edits]
    corpus = CorpusSpec(n_tokens=4 * model.key_size) if given.quick else CorpusSpec(source="wikitext2")
    statistics = Statistics(model, corpus, progress=log)
    statistics.prepare(sorted({ROME_LAYER, *MEMIT_LAYERS}))
    shared = {"v_num_grad_steps": 3 if given.quick else given.steps}
    figures: dict[str, Any] = {}
    details: dict[str, Any] = {}

    contexts = sample_contexts(model, given.rome_contexts, seed=0)
    resources = Resources(statistics, contexts=contexts)
    rome = create_editor("rome", {"layers": [ROME_LAYER], **shared})
    state = rome.prepare(model, resources)
    timed = take_turns(
        {
            "ours": lambda: [rome.edit(model, [edit], state, resources).delta for edit in edits],
            "reference": lambda: [
                literal_rome(model, edit, contexts, ROME_LAYER, TargetHyperparameters(**shared), statistics)
                for edit in edits
            ],
        },
        given.rounds,
        log,
        "rome",
    )
    figures["rome"], details["rome"] = _describe(timed, len(edits), len(contexts))

    contexts = sample_contexts(model, given.memit_contexts, seed=0)
    resources = Resources(statistics, contexts=contexts)
    memit = create_editor("memit", {"layers": list(MEMIT_LAYERS), **shared})
    state = memit.prepare(model, resources)
    weight = float(model.key_size)
    timed = take_turns(
        {
            "ours": lambda: [memit.edit(model, edits, state, resources).delta],
            "reference": lambda: [
                literal_memit(
                    model, edits, contexts, MEMIT_LAYERS, weight, TargetHyperparameters(**shared), statistics
                )
            ],
        },
        given.rounds,
        log,
        "memit",
    )
    figures["memit"], details["memit"] = _describe(timed, len(edits), len(contexts))
    end("edit_speed", given, {"cases": figures}, details)


def _describe(
    timed: dict[str, Timed], n_edits: int, n_contexts: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the figures of one method and their details."""
    ours, reference = timed["ours"], timed["reference"]
    distances = [_distance(a, b) for a, b in zip(ours.answers[-1], reference.answers[-1], strict=True)]
    figures = {
        "speedup": reference.median / ours.median,
        "seconds_per_edit": ours.median / n_edits,
        "reference_seconds_per_edit": reference.median / n_edits,
        "n_edits": n_edits,
        "n_contexts": n_contexts,
        "greatest_relative_difference": max(distances),
    }
    seconds = {name: times.seconds for name, times in timed.items()}
    return figures, {"seconds": seconds, "relative_differences": distances}


def _distance(ours: Delta, reference: Delta) -> float:
    """Returns the difference of two changes by the norm of the second, maximal over their weights."""
    return max(
        float((update.to_dense() - reference.updates[name].to_dense()).norm())
        / float(reference.updates[name].to_dense().norm())
        for name, update in ours.updates.items()
    )


if __name__ == "__main__":
    run(main)
