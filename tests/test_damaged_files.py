"""Every kind of stored file with a bit flipped or its end cut off: it is told with its name, or harmless.

Harmless is what leaves every value as it was, such as another kind of white space. The results of a run are
tested in `tests/results`.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import SequelaError
from sequela.core.files import load_tensors, save_tensors
from sequela.editors import Resources, create_editor
from sequela.editors.export import DESCRIPTION, ExportDescription
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.editors.training.artifact import (
    NETWORK,
    Artifact,
    ValidationPoint,
    describe_artifact,
    read_artifact,
    save_network,
)
from sequela.editors.training.stored_network import keep_network
from sequela.editors.training.training import STATE, STATE_TENSORS, StoredTraining
from sequela.models.gguf import write_copy
from sequela.models.gguf_copy import MARKER, copy_is_whole
from sequela.results import Manifest, collect_environment, read_manifest, write_manifest
from sequela.statistics.stored_statistics import FormerStatistics, read_corpus, read_covariance
from sequela.store import Address, DamagedObjectError, Store
from support.edits import CONTEXTS, TINY_EDITS
from support.exact import exact_language_model
from support.mutations import damage
from support.packages import write_gguf
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.stores import local_store
from support.tiny import tiny_language_model

N_DAMAGES = 200
"""The number of damages to each file."""

N_DAMAGES_OF_OBJECTS = 100
"""The number of damages to each file of an object of the store."""

MODEL = tiny_language_model("llama")


@dataclass(frozen=True)
class Stored:
    """A stored file.

    Args:
        path: The file.
        read: Reads it, with what belongs to it, and returns every value in it as text.
    """

    path: Path
    read: Callable[[], str]


def outcomes_of(stored: Stored, named: Path | None = None) -> Counter[str]:
    """Damages a file again and again, and counts what reading it does.

    Args:
        stored: The file.
        named: What an error must name, if not the file.
    """
    whole, expected = stored.path.read_bytes(), stored.read()
    found: Counter[str] = Counter()
    for seed in range(N_DAMAGES):
        stored.path.write_bytes(damage(whole, random.Random(f"{stored.path.name} {seed}")))
        try:
            found["harmless" if stored.read() == expected else f"another value (seed {seed})"] += 1
        except SequelaError as error:
            names = str(named or stored.path) in error.message
            found["told" if names and error.hint else f"told without file or advice (seed {seed})"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            found[f"{type(error).__name__} (seed {seed})"] += 1
    stored.path.write_bytes(whole)
    return found


def check(*files: Stored) -> None:
    """Checks that every damage to every file is told or harmless, and nearly all are told."""
    found = {str(one.path): outcomes_of(one) for one in files}
    assert all(set(counts) <= {"told", "harmless"} for counts in found.values()), found
    assert all(counts["harmless"] <= N_DAMAGES // 10 for counts in found.values()), found


@pytest.mark.parametrize(
    ("method", "settings"), [("memit+prune", {"v_num_grad_steps": 2}), ("grace", {"num_steps": 2})]
)
def test_saved_edits_and_checkpoints(tmp_path: Path, method: str, settings: dict[str, object]) -> None:
    editor = create_editor(method, {"layers": [1], **settings})
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=CONTEXTS)
    (result,) = edit_in_batches(editor, MODEL, TINY_EDITS[:1], 1, resources)
    folder = tmp_path / "saved"
    methods = (MethodEdits.of(editor, result.state, [TINY_EDITS[0].id], resumable=True),)
    delta = editor.finalize_delta(MODEL, result.delta)
    save_edits(folder, MODEL, SavedEdits(delta, methods, unregularized=result.delta, ranks={1: {"a": 2}}))

    def read() -> str:
        saved = load_saved_edits(folder, MODEL, editor)
        rest = None if saved.unregularized is None else saved.unregularized.content_hash
        return f"{saved.delta.content_hash} {rest} {saved.methods} {saved.ranks}"

    check(*(Stored(path, read) for path in sorted(folder.iterdir())))


def check_object(store: Store, address: Address, read: Callable[[Path], str]) -> None:
    """Checks that every damage to every file of an object is told with the file, or harmless.

    Args:
        store: The store, in a folder.
        address: The object.
        read: Reads its files from their folder, and returns every value in them as text.
    """
    folder = store.fetch(address).parent
    whole = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    expected, found = read(store.fetch(address)), Counter[str]()
    assert len(whole) == 3
    for path, content in whole.items():
        path.chmod(0o644)
        for seed in range(N_DAMAGES_OF_OBJECTS):
            path.write_bytes(damage(content, random.Random(f"{path.name} {seed}")))
            aside = None
            try:
                value = read(store.fetch(address))
                found["harmless" if value == expected else f"another value ({path.name}, {seed})"] += 1
            except DamagedObjectError as error:
                named, aside = path.name in error.message and str(address) in error.message, error.aside
                found["told" if named and aside else f"told without the file ({path.name})"] += 1
            if aside is not None:
                assert not store.has(address)  # so that it is made again
                Path(aside).rename(folder)
        path.write_bytes(content)
    assert set(found) <= {"told", "harmless"}, found
    assert found["told"] > 0.95 * len(whole) * N_DAMAGES_OF_OBJECTS, found


def test_statistics(tmp_path: Path) -> None:
    kept = tiny_statistics(MODEL, tmp_path)
    kept.prepare([1])

    def covariance(folder: Path) -> str:
        found = read_covariance(folder, 1, MODEL)
        return f"{found.matrix.tolist()} {found.n_tokens} {found.corpus}"

    def corpus(folder: Path) -> str:
        found = read_corpus(folder)
        return f"{found.sequences.tolist()} {found.description}"

    check_object(kept.store, kept.address_of(1), covariance)
    check_object(kept.store, kept.corpus_address, corpus)


def test_statistics_of_an_earlier_version(tmp_path: Path) -> None:
    (old,) = (Path(__file__).parent / "old_formats" / "statistics").iterdir()
    folder = shutil.copytree(old, tmp_path / "old")
    kept = FormerStatistics(folder, exact_language_model())

    def read() -> str:
        found = kept.read(1)
        return f"{found.matrix.tolist()} {found.n_tokens} {found.corpus}"

    def corpus() -> str:
        found = kept.read_corpus()
        return f"{found.sequences.tolist()} {found.description}"

    files = sorted(folder.iterdir())
    assert len(files) == 4
    check(*(Stored(path, read if path.name.startswith("layer") else corpus) for path in files))


def test_trained_networks_and_trainings(tmp_path: Path) -> None:
    network = torch.nn.Linear(4, 4)
    point = ValidationPoint(
        step=0, seconds=1.5, train_loss=None, loss=float("nan"), efficacy=0, paraphrase=0, locality=1, kl=0
    )
    artifact = Artifact(
        editor="mend",
        base_fingerprint=MODEL.fingerprint,
        base_name=MODEL.name,
        settings={"rank": 4},
        training={"lr": 1e-4},
        edits="facts",
        edits_hash="0" * 16,
        n_edits=3,
        curve=(point,),
        step=0,
        network=save_network(tmp_path, network),
    )
    describe_artifact(tmp_path, artifact)
    tensors = save_tensors(tmp_path / STATE_TENSORS, network.state_dict())
    write_description(
        tmp_path / STATE,
        StoredTraining(key="1" * 16, step=5, curve=(point,), best_network=artifact.network, tensors=tensors),
    )

    def trained() -> str:
        found = read_artifact(tmp_path)
        return f"{found} {load_tensors(tmp_path / NETWORK, found.network)}"

    def training() -> str:
        found = read_description_of(tmp_path / STATE, StoredTraining, "a training")
        return f"{found} {load_tensors(tmp_path / STATE_TENSORS, found.tensors)}"

    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    store = local_store(tmp_path / "store")
    _, address = keep_network(tmp_path, store)
    assert address is not None

    def stored(folder: Path) -> str:
        found = read_artifact(folder)
        return f"{found} {load_tensors(folder / NETWORK, found.network)}"

    check_object(store, address, stored)
    check(*(Stored(path, training if path.name.startswith("training") else trained) for path in files))


def test_a_manifest_and_the_description_of_a_checkpoint(tmp_path: Path) -> None:
    manifest = Manifest(name="x", evaluations_planned=3, environment=collect_environment(), config={"a": [1]})
    write_manifest(tmp_path, manifest)
    exported = ExportDescription(base_fingerprint="0", base_name="y", delta="1", method=None, edits=("2",))
    write_description(tmp_path / DESCRIPTION, exported)

    def description() -> str:
        return str(read_description_of(tmp_path / DESCRIPTION, ExportDescription, "checkpoint"))

    check(
        Stored(tmp_path / "manifest.json", lambda: str(read_manifest(tmp_path))),
        Stored(tmp_path / DESCRIPTION, description),
    )


def test_a_copy_of_a_gguf_file_is_made_again(tmp_path: Path) -> None:
    """Nothing is told here: a copy that isn't whole is written again."""
    write_gguf(tmp_path / "model.gguf")
    folder = tmp_path / "copy"
    write_copy(tmp_path / "model.gguf", "0" * 64, folder)
    assert MARKER in {path.name for path in folder.iterdir()}

    for path in sorted(folder.iterdir()):
        found = outcomes_of(Stored(path, lambda: str(copy_is_whole(folder, "0" * 64))))
        assert set(found) <= {"harmless", *(kind for kind in found if kind.startswith("another value"))}
        assert found["harmless"] <= N_DAMAGES // 10
        assert path.name == MARKER or not found["harmless"]
