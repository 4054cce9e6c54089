"""Runs to report on, produced by studies of a tiny model and never written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.edits import Edit, Probe
from sequela.results import Status, open_store, read_manifest, write_manifest
from sequela.studies import Study, run_study
from support.tiny import tiny_language_model

CHECKPOINTS = (0, 1, 2, 3)
METHODS = (
    {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 0, "v_num_grad_steps": 2}},
    {
        "name": "rome",
        "settings": {
            "mom2_adjustment": False,
            "n_contexts": 0,
            "v_num_grad_steps": 2,
            "variant": "original",
        },
    },
    {"name": "ft-m", "settings": {"num_steps": 2}},
)


def study_of(folder: Path, text: str) -> Study:
    """A study of a tiny random model with `text` as the prompts and targets of its edits."""
    model = tiny_language_model("llama")
    model.module.save_pretrained(folder / "model")
    model.tokenizer.save_pretrained(folder / "model")
    edits = [
        Edit(
            id=f"e{place}",
            subject=subject,
            prompt=f"{{}} {text} plays the" if text else "{} plays the",
            target_new=text or "cello",
            paraphrases=(f"Everyone knows that {subject} plays the",),
            neighborhood=(Probe(prompt="Tomas plays the", answer="bread"),),
        )
        for place, subject in enumerate(("Ada", "Steve Jobs", "Marrow Point"), start=1)
    ]
    (folder / "edits.jsonl").write_text("".join(f"{edit.model_dump_json()}\n" for edit in edits), "utf-8")
    return Study.model_validate(
        {
            "name": "first-study",
            "models": [str(folder / "model")],
            "editors": list(METHODS),
            "edits": {"source": "jsonl", "file": str(folder / "edits.jsonl")},
            "checkpoints": list(CHECKPOINTS),
            "suites": [
                {"name": "builtin", "limit": 2, "categories": ["language", "truthfulness"]},
                {"name": "perplexity", "window": 32},
            ],
            "edit_quality": {"max_new_tokens": 4},
            "device": "cpu",
        }
    )


class RunWriter:
    """Writes copies of a finished run, modified as a test requires."""

    def __init__(self, finished: Path, folder: Path, name: str) -> None:
        self.finished = finished
        self.folder = folder
        self.name = name

    def write(
        self, status: Status = Status.COMPLETE, drop: int = 0, nonfinite: int = 0, too_long: int = 0
    ) -> Path:
        """Writes the run.

        Args:
            status: The status of the run.
            drop: The number of last evaluations to leave out.
            nonfinite: The number of perplexity items with non-finite logits after the edits of ft-m.
            too_long: The number of those items that exceed the context.
        """
        with open_store(self.finished) as source, open_store(self.folder, create=True) as store:
            keys = source.evaluations()
            for key in keys[: len(keys) - drop]:
                measurements = [
                    one.model_copy(update={"n_nonfinite": nonfinite, "n_too_long": too_long})
                    if (one.editor, one.metric) == ("ft-m", "perplexity")
                    else one
                    for one in source.measurements(key=key)
                ]
                store.write_evaluation(key, measurements, source.items(key))
            store.write_edit_records(source.edit_records())
            store.write_cost(*source.costs())
        manifest = read_manifest(self.finished).model_copy(update={"name": self.name})
        write_manifest(self.folder, manifest.finish(status))
        return self.folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Returns a finished run for a text, cached; for reading only."""
    made: dict[str, Path] = {}

    def make(text: str = "") -> Path:
        if text not in made:
            folder = tmp_path_factory.mktemp("reported")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SEQUELA_CACHE", str(folder / "cache"))
                run_study(study_of(folder, text), folder / "run")
            made[text] = folder / "run"
        return made[text]

    return make


@pytest.fixture
def run_writer(finished_run: Callable[..., Path], tmp_path: Path) -> Callable[..., RunWriter]:
    def make(text: str = "", name: str = "first-study") -> RunWriter:
        return RunWriter(finished_run(text), tmp_path / "run", name)

    return make
