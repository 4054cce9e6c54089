from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.results import (
    CostRecord,
    EditRecord,
    Environment,
    EvaluationKey,
    ItemRecord,
    Manifest,
    Measurement,
    Status,
    open_store,
    write_manifest,
)

CHECKPOINTS = (0, 1, 5, 10, 20)
EDITORS = (("rome", "r-rome", 0.012), ("memit", "", 0.006), ("ft-m", "", 0.035))
ABILITIES = {
    "builtin": {
        "arithmetic": 0.68,
        "reading": 0.82,
        "truthfulness": 0.7,
        "world_knowledge": 0.85,
        "harm_recognition": 0.75,
    },
    "mmlu": {"mmlu": 0.31, "mmlu_anatomy": 0.33, "mmlu_virology": 0.29},
    "truthfulqa_mc1": {"truthfulqa_mc1": 0.28},
    "toxigen": {"toxigen": 0.44},
}
EDIT_METRICS = (
    ("efficacy", "free_decoding"),
    ("efficacy", "probability"),
    ("paraphrase", "free_decoding"),
    ("neighborhood", "free_decoding"),
)


class RunWriter:
    """Writes a made-up run of the shape of a real one."""

    def __init__(self, folder: Path, text: str = "Paris", name: str = "first-study") -> None:
        self.folder = folder
        self.text = text
        self.name = name
        self.random = random.Random(3)

    def write(
        self, status: Status = Status.COMPLETE, drop: int = 0, nonfinite: int = 0, refused: int = 0
    ) -> Path:
        """Writes the run; leaves out the last `drop` evaluations."""
        evaluations = list(self._evaluations(nonfinite, refused))
        with open_store(self.folder, create=True) as store:
            for key, measurements, items in evaluations[: len(evaluations) - drop]:
                store.write_evaluation(key, measurements, items)
            for editor, variant, _ in EDITORS:
                store.write_edit_records(self._edit(editor, variant, place) for place in range(1, 21))
                store.write_cost(
                    CostRecord(
                        step="edit",
                        seconds=37.0,
                        units=20,
                        editor=editor,
                        variant=variant,
                        peak_memory_bytes=2_400_000_000,
                    ),
                    *(
                        CostRecord(
                            step="evaluate",
                            seconds=25.0,
                            units=300,
                            editor=editor,
                            variant=variant,
                            suite=suite,
                            peak_memory_bytes=2_100_000_000,
                        )
                        for suite in ABILITIES
                    ),
                )
            store.write_cost(CostRecord(step="statistics", seconds=61.0, units=15360))
        manifest = Manifest(
            name=self.name,
            evaluations_planned=len(evaluations),
            environment=Environment(
                sequela="0.1.0",
                git_commit="0123abc",
                python="3.11.7",
                packages={"torch": "2.13.0"},
                system="Linux",
                cpu="Some CPU",
                cores=2,
                memory_bytes=8 * 2**30,
                device="cpu",
            ),
            config={"editors": [editor for editor, _, _ in EDITORS], "checkpoints": list(CHECKPOINTS)},
            model_hashes={"smollm2": "abcd"},
            seeds={"order": [0], "sampling": [1234]},
            command="sequela run examples/first-study.yaml",
            notes=("2 records without a paraphrase were skipped",),
        )
        write_manifest(self.folder, manifest.ended_as(status))
        return self.folder

    def _evaluations(self, nonfinite: int, refused: int):
        for n_edits in CHECKPOINTS:
            for editor, variant, harm in EDITORS if n_edits else (("none", "", 0.0),):
                labels = {"model": "smollm2", "editor": editor, "variant": variant, "n_edits": n_edits}
                for suite, tasks in ABILITIES.items():
                    yield self._evaluation(
                        labels,
                        suite,
                        [
                            self._measurement(labels, suite, task, "accuracy", "loglikelihood", value, harm)
                            for task, value in tasks.items()
                        ],
                        [],
                    )
                perplexity = self._measurement(
                    labels, "perplexity", "wikitext", "perplexity", "loglikelihood", 1, 0
                )
                value = 21.0 * (1 + harm * n_edits) ** 4
                changed = {"value": value, "stderr": value / 30, "baseline": 21.0, "n_nonfinite": 0}
                if editor == "ft-m":
                    changed |= {"n_nonfinite": nonfinite, "n_refused": refused}
                yield self._evaluation(labels, "perplexity", [perplexity.model_copy(update=changed)], [])
                if n_edits:
                    yield self._edit_quality(labels, harm)

    def _edit_quality(self, labels, harm: float):
        measurements, items = [], []
        for task, drop in (("success@edit", 0.002), ("retention@n", harm)):
            for metric, protocol in EDIT_METRICS:
                start = {"efficacy": 0.97, "paraphrase": 0.6, "neighborhood": 0.9}[metric]
                one = self._measurement(labels, "edit_quality", task, metric, protocol, start, drop)
                low = 1.0 if metric == "neighborhood" else 0.03
                measurements.append(one.model_copy(update={"n": labels["n_edits"] * 2, "baseline": low}))
                items += [self._item(task, metric, protocol, f"e{place}") for place in range(3)]
        return self._evaluation(labels, "edit_quality", measurements, items)

    def _evaluation(self, labels, suite: str, measurements, items):
        key = EvaluationKey(
            trajectory=f"t-{labels['editor']}",
            n_edits=labels["n_edits"],
            suite=suite,
            suite_version="1",
            model_hash=f"{labels['editor']}-{labels['n_edits']}",
        )
        return key, measurements, items

    def _measurement(self, labels, suite, task, metric, protocol, start, harm) -> Measurement:
        value = max(0.05, start - harm * labels["n_edits"] + self.random.uniform(-0.01, 0.01))
        value = start if labels["editor"] == "none" else min(1.0, value)
        return Measurement(
            **labels,
            edit_source="counterfact",
            order_seed=0,
            suite=suite,
            task=task,
            metric=metric,
            protocol=protocol,
            value=value,
            stderr=(value * (1 - value) / 100) ** 0.5,
            n=100,
            baseline=None if labels["editor"] == "none" else start,
            note=self.text if task == "toxigen" and labels["n_edits"] == 20 else "",
        )

    def _item(self, task: str, metric: str, protocol: str, name: str) -> ItemRecord:
        return ItemRecord(
            suite="edit_quality",
            task=task,
            metric=metric,
            protocol=protocol,
            item=name,
            value=1.0,
            prompt="The harbor town where the clockmaker lives is called",
            answer=f" {self.text}",
            expected=self.text,
        )

    def _edit(self, editor: str, variant: str, place: int) -> EditRecord:
        return EditRecord(
            trajectory=f"t-{editor}",
            model="smollm2",
            editor=editor,
            variant=variant,
            edit_source="counterfact",
            order_seed=0,
            edit_id=f"e{place}",
            position=place,
            batch=place,
            prompt="The harbor town where the clockmaker lives is called",
            target_new=self.text,
            seconds=1.5 + place / 50,
            optimization_steps=20,
            losses={"total": 0.06, "nll": 0.05},
            relative_delta_norms={"model.layers.5.mlp.down_proj.weight": 0.013},
            success=tuple(self._item("success@edit", *kind, f"e{place}") for kind in EDIT_METRICS),
        )


@pytest.fixture
def run_writer(tmp_path: Path) -> Callable[..., RunWriter]:
    def make(**arguments: str) -> RunWriter:
        return RunWriter(tmp_path / "run", **arguments)

    return make
