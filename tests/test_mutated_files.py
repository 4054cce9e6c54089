"""Mutated files of every kind: each is read, or is an error that names what is wrong; nothing else happens.

The mutations are seeded. A reader that hangs is stopped, so that the test ends and names the input.
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from sequela.cli.options import read_settings, read_size
from sequela.core.errors import SequelaError
from sequela.core.yaml_files import parse_yaml
from sequela.editors import Resources, create_editor
from sequela.editors.presets.presets import Preset, read_preset, write_preset
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.shared.contexts import read_contexts
from sequela.editors.storage import load_saved_edits, read_description, save_edits
from sequela.editors.training.artifact import read_artifact
from sequela.edits import example_line, load_edits
from sequela.evaluation.lm_eval import local_data
from sequela.evaluation.lm_eval.harness_tasks.index import read_plain
from sequela.evaluation.lm_eval.task_file import FOLDER, read_task_file
from sequela.evaluation.monitor_rules import HealthRule
from sequela.evaluation.multiple_choice import MultipleChoiceItem, read_items
from sequela.models import load_model
from sequela.results import open_store, read_manifest
from sequela.studies.study_file import read_study
from support.edits import CONTEXTS, TINY_EDITS
from support.mutations import mutate, mutate_gzip
from support.own_task import OWN
from support.packages import write_gguf
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

pytestmark = pytest.mark.slow

OLD = Path(__file__).parent / "old_formats"
EXAMPLES = Path(__file__).parents[1] / "examples"
SECONDS = 60
"""After this time a reader counts as hanging; each takes some milliseconds."""
GROWTH = 2 * 2**30
"""The memory, in bytes, that no reader may take in addition."""


@dataclass(frozen=True)
class Reader:
    """A reader of files: the content to mutate, the name of the file, and how to read it."""

    name: str
    content: bytes
    file: Path
    read: Callable[[Path], object]
    count: int
    mutated: Callable[[bytes, random.Random], bytes] = mutate


class HangingError(BaseException):
    """A reader did not end."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise HangingError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def problems_of(reader: Reader) -> list[str]:
    """Reads mutated files; returns what happened beside a result and an error in words."""
    found: dict[str, str] = {}
    original = reader.file.read_bytes() if reader.file.exists() else None
    reader.file.write_bytes(reader.content)
    reader.read(reader.file)  # unchanged, it can be read
    for seed in range(reader.count):
        content = reader.mutated(reader.content, random.Random(f"{reader.name} {seed}"))
        reader.file.write_bytes(content)
        try:
            with limited(SECONDS):
                reader.read(reader.file)
        except SequelaError as error:
            if not error.message.strip():
                found.setdefault("an empty message", f"seed {seed}")
        except (Exception, HangingError) as error:  # noqa: BLE001 - whatever it is, it is a finding
            trace, last = error.__traceback__, ""
            while trace is not None:
                if "sequela" in trace.tb_frame.f_code.co_filename:
                    last = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
                trace = trace.tb_next
            found.setdefault(f"{type(error).__name__} at {last}", f"seed {seed}: {str(error)[:200]}")
    if original is not None:
        reader.file.write_bytes(original)
    return [f"{reader.name}: {kind} ({first})" for kind, first in found.items()]


def peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def check(*readers: Reader) -> None:
    before = peak_memory()
    problems = [problem for reader in readers for problem in problems_of(reader)]
    assert not problems, "\n".join(problems)
    assert peak_memory() - before < GROWTH


MODEL = tiny_language_model("llama")
PRESET = Preset(
    editor="memit",
    models=("any",),
    presets=("recommended",),
    settings={"layers": [1, 2], "v_lr": 0.5},
    provenance="untested",
    source="a test",
)


def _editor(path: Path) -> object:
    return create_editor("memit", read_settings(path))


def jsonl(*values: object) -> bytes:
    return "".join(f"{json.dumps(value)}\n" for value in values).encode()


def test_settings_and_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = b"layers: [1, 2]\nv_lr: 0.5\nclamp_norm_factor: 4\npreset: none\n"
    write_preset(tmp_path / "preset.yaml", PRESET)
    check(
        Reader("study", (EXAMPLES / "first-study.yaml").read_bytes(), tmp_path / "s.yaml", read_study, 2500),
        Reader(
            "settings",
            settings,
            tmp_path / "h.yaml",
            _editor,
            2000,
        ),
        Reader(
            "preset",
            (tmp_path / "preset.yaml").read_bytes(),
            tmp_path / "preset.yaml",
            lambda path: read_preset(path, "memit", MODEL),
            1500,
        ),
        Reader("contexts", b"{}\nIt rained. {}\n", tmp_path / "contexts.txt", read_contexts, 1000),
        Reader(
            "health rule",
            b"perplexity > 3.5x",
            tmp_path / "rule",
            lambda path: HealthRule.parse(path.read_text("latin-1")),
            1000,
        ),
        Reader("size", b"3.5 GiB", tmp_path / "size", lambda p: read_size(p.read_text("latin-1")), 1000),
        Reader(
            "yaml",
            b"a: &x {b: [1, 2.5, true, null, 'c']}\nd: *x\n",
            tmp_path / "a.yaml",
            lambda path: parse_yaml(path.read_text("latin-1"), "a.yaml"),
            2000,
        ),
    )


def test_edits(tmp_path: Path) -> None:
    edit = json.loads(example_line())
    edits = [{**edit, "id": f"e{number}", "relation": "P1"} for number in range(3)]
    official = {
        "case_id": 7,
        "requested_rewrite": {
            "prompt": "{} flows into the",
            "relation_id": "P403",
            "subject": "the Danube",
            "target_new": {"str": "North Sea"},
            "target_true": {"str": "Black Sea"},
        },
        "paraphrase_prompts": ["The mouth of the Danube is at the"],
        "neighborhood_prompts": ["The Dnieper flows into the"],
        "attribute_prompts": [],
        "generation_prompts": ["The Danube's mouth"],
    }
    question = {
        "subject": "Lake Ohrid",
        "src": "What river flows out of Lake Ohrid?",
        "pred": "Drin",
        "rephrase": "Which river leaves Lake Ohrid?",
        "alt": "Vardar",
        "answers": ["Black Drin", "Drin"],
        "loc": "nq question: who built the first lighthouse",
        "loc_ans": "Sostratus",
        "cond": "Drin >> Vardar || What river flows out of Lake Ohrid?",
    }
    request = {
        "case_id": 5,
        "prompt": "The architect of Villa Savoye is",
        "subject": "Villa Savoye",
        "target_new": "Alvar Aalto",
        "ground_truth": "Le Corbusier",
        "portability": {"reasoning": {"prompt": ["It was built by"], "ground_truth": ["him"]}},
        "locality": {"Forgetfulness": {"prompt": ["Another villa is"], "ground_truth": ["Tugendhat"]}},
    }

    def of(source: str) -> Callable[[Path], object]:
        return lambda path: load_edits(source, path)

    whole = json.dumps([official, {**official, "case_id": 8}]).encode()
    check(
        Reader("edits", jsonl(*edits), tmp_path / "e.jsonl", of("jsonl"), 2500),
        Reader("a list of edits", json.dumps(edits).encode(), tmp_path / "e.json", of("jsonl"), 1000),
        Reader("compressed edits", jsonl(*edits), tmp_path / "z.jsonl.gz", _unzipped(of("jsonl")), 1000, _gz),
        Reader("counterfact", whole, tmp_path / "c.json", of("counterfact"), 1000),
        Reader("zsre", json.dumps([question]).encode(), tmp_path / "q.json", of("zsre"), 1000),
        Reader("knowedit", json.dumps([request]).encode(), tmp_path / "k.json", of("knowedit"), 1000),
    )


def _gz(content: bytes, rng: random.Random) -> bytes:
    return mutate_gzip(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content, rng)


def _unzipped(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """Reads a file that may not be compressed yet, as the unchanged content is."""

    def reader(path: Path) -> object:
        if path.read_bytes()[:1] == b"{":
            path.write_bytes(gzip.compress(path.read_bytes()))
        return read(path)

    return reader


def test_tasks_and_items(tmp_path: Path) -> None:
    item = MultipleChoiceItem(id="a", prompt="One and one is", choices=("2", "3"), answer=0)
    definition = b"task: mine\ndataset_path: json\noutput_type: generate_until\ndoc_to_text: '{{q}}'\n"
    check(
        Reader("task file", OWN.encode(), tmp_path / "t.yaml", read_task_file, 2000),
        Reader(
            "bundled task file",
            (FOLDER / "gsm8k-generation.yaml").read_bytes(),
            tmp_path / "g.yaml",
            read_task_file,
            1500,
        ),
        Reader("harness definition", definition, tmp_path / "d.yaml", read_plain, 1000),
        Reader("choices", jsonl(item.model_dump(mode="json")), tmp_path / "i.jsonl", read_items, 1000),
        Reader(
            "own items",
            jsonl({"country": "Peru", "capital": "Lima"}, {"country": "Chad", "capital": "N'Djamena"}),
            tmp_path / "own.jsonl",
            local_data.read_items,
            1000,
        ),
    )


def _read_run(folder: Path) -> object:
    read_manifest(folder)
    with open_store(folder) as store:
        store.measurements()
        store.edit_records()
        store.costs()
        return [store.items(key) for key in store.evaluations()]


def test_results(tmp_path: Path) -> None:
    run = shutil.copytree(OLD / "run", tmp_path / "run")
    items = next((run / "items").iterdir())

    def whole(_: Path) -> object:
        return _read_run(run)

    check(
        Reader(
            "manifest",
            (run / "manifest.json").read_bytes(),
            run / "manifest.json",
            lambda path: read_manifest(path.parent),
            1500,
        ),
        Reader("database", (run / "results.sqlite").read_bytes(), run / "results.sqlite", whole, 300),
        Reader("items", items.read_bytes(), items, whole, 300),
    )


def save(folder: Path, method: str, settings: dict[str, object]) -> Path:
    """Saves edits of the tiny model by a method."""
    editor = create_editor(method, {"layers": [1], **settings})
    resources = Resources(tiny_statistics(MODEL, folder.parent), contexts=CONTEXTS)
    (result,) = edit_in_batches(editor, MODEL, TINY_EDITS[:1], 1, resources)
    methods = (MethodEdits.of(editor, result.state, [TINY_EDITS[0].id]),)
    save_edits(folder, MODEL, SavedEdits(result.delta, methods))
    return folder


def test_saved_edits_and_statistics(tmp_path: Path) -> None:
    def loaded(path: Path) -> object:
        return load_saved_edits(path.parent, MODEL).on(MODEL)

    folders = (
        save(tmp_path / "memit", "memit", {"v_num_grad_steps": 2}),
        save(tmp_path / "grace", "grace", {"num_steps": 2}),
    )
    readers = [
        Reader(f"saved edits, {path.name}", path.read_bytes(), path, loaded, 600)
        for folder in folders
        for path in sorted(folder.iterdir())
    ]
    former = shutil.copytree(OLD / "saved", tmp_path / "former")
    readers += [
        Reader(f"former {path.name}", path.read_bytes(), path, lambda p: read_description(p.parent), 100)
        for path in sorted(former.rglob("*.json"))
    ]
    network = shutil.copytree(OLD / "network", tmp_path / "network") / "artifact.json"
    readers.append(
        Reader("artifact", network.read_bytes(), network, lambda path: read_artifact(path.parent), 800)
    )

    def covariance(_: Path) -> object:
        return tiny_statistics(MODEL, tmp_path).key_covariance(1)

    readers += [
        Reader(f"statistics, {path.suffix}", path.read_bytes(), path, covariance, 300)
        for path in sorted((tmp_path / "statistics").rglob("layer_*"))
    ]
    check(*readers)


def test_models(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    MODEL.module.save_pretrained(folder)
    MODEL.tokenizer.save_pretrained(folder)
    gguf = tmp_path / "model.gguf"
    write_gguf(gguf)

    def loaded(path: Path) -> object:
        return load_model(str(path if path.suffix == ".gguf" else folder), device="cpu")

    counts = {
        "config.json": 300,
        "tokenizer.json": 300,
        "tokenizer_config.json": 200,
    }
    check(
        *(
            Reader(name, (folder / name).read_bytes(), folder / name, loaded, count)
            for name, count in counts.items()
        ),
        Reader("gguf", gguf.read_bytes(), gguf, loaded, 200),
    )
