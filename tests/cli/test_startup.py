"""Lists are printed and invalid study files are reported before any slow import.

Each command runs in an interpreter of its own, whose imports are checked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import sequela
from sequela.editors.registry import METHOD_REGISTRY
from sequela.edits import Edit
from sequela.results import Manifest, Plugin, collect_environment, write_manifest

HEAVY = (
    "altair",
    "datasets",
    "lm_eval",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sqlalchemy",
    "torch",
    "transformers",
)
"""Packages that take from a tenth of a second to several seconds to import."""

PROGRAM = """
import json, sys
sys.argv[0] = "sequela"
from sequela.cli.main import main
try:
    main()
finally:
    print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""

INCOMPLETE = '{"id": "a", "prompt": "It is", "subject": "b"}\n'
"""An edit without a target."""

OWN_TASK = """
benchmark: own
protocol: answers
version: 1
what: Questions.
items: none.jsonl
harness: {doc_to_text: "{{q}}"}
"""

MANY = """
import contextlib, io, json, sys
from sequela.cli.main import main
answers = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["sequela", *arguments]
    stderr, status = io.StringIO(), 0
    with contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as end:
            status = end.code
    answers.append([stderr.getvalue(), status, sorted({name.partition(".")[0] for name in sys.modules})])
print(json.dumps(answers))
"""
"""A program that runs commands one after the other, since every interpreter takes half a second to start."""

BASE = "name: x\nmodels: [smollm2-135m-instruct]\n"
ROME = BASE + "editors: [rome]\n"


@dataclass(frozen=True)
class Outcome:
    """The output and exit code of a command, and the heavy packages that it imported."""

    stdout: str
    stderr: str
    status: int
    imported: tuple[str, ...]


PLUG_IN = """
from pydantic import BaseModel
from sequela.editors.catalog import MethodInfo

LIGHT = MethodInfo("light", "A plug-in whose record needs no PyTorch.", BaseModel, "no_such_module:Light")
"""


def told_by(folder: Path, *arguments: str) -> Outcome:
    ran = started(folder, PROGRAM, *arguments)
    stderr, _, modules = ran.stderr.rstrip("\n").rpartition("\n")
    return Outcome(ran.stdout, stderr, ran.returncode, heavy(json.loads(modules)))


def told_one_by_one(folder: Path, commands: Sequence[Sequence[str]]) -> list[Outcome]:
    """Runs commands in one interpreter; each outcome has the packages imported up to then."""
    ran = started(folder, MANY, json.dumps(commands))
    assert ran.returncode == 0, ran.stderr
    return [Outcome("", stderr, status, heavy(loaded)) for stderr, status, loaded in json.loads(ran.stdout)]


def heavy(loaded: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in HEAVY if name in loaded)


def started(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": f"{Path(sequela.__file__).parents[1]}{os.pathsep}{folder}",
            "SEQUELA_CACHE": str(folder / "cache"),
            "COLUMNS": "200",
            "SEQUELA_DATA": "",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(folder / "hub"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--help",), "train-editor"),
        (("run", "--help"), "--precision"),
        (("methods",), "alphaedit"),
        (("methods", "memit"), "mom2_update_weight"),
        (("methods", "rect"), "keep"),
        (("models",), "LlamaForCausalLM"),
        (("tasks",), "truthfulqa"),
        (("presets",), "memit"),
        (("tasks", "--harness", "hellaswag"), "hellaswag"),
        (("edits",), "counterfact"),
        (("edits", "builtin"), "builtin"),
        (("edits", "--schema"), "target_new"),
        (("store", "list"), "0 objects"),
        (("store", "prune", "--unused"), "0 objects removed"),
    ],
    ids=" ".join,
)
def test_a_list_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    reported = told_by(tmp_path, *arguments)
    assert reported.status == 0, reported.stderr
    assert said in reported.stdout
    assert reported.imported == ()


def test_a_plug_in_with_a_record_is_listed_without_importing_it(tmp_path: Path) -> None:
    (tmp_path / "light_plug_in.py").write_text(PLUG_IN, encoding="utf-8")
    info = tmp_path / "light_plug_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: light-plug-in\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        f"[{METHOD_REGISTRY.group}]\nlight = light_plug_in:LIGHT\n", encoding="utf-8"
    )
    reported = told_by(tmp_path, "methods")
    assert reported.status == 0, reported.stderr
    assert "from light-plug-in 1.0" in reported.stdout
    assert reported.imported == ()


INVALID_STUDIES = [
    ("name: [\n", "this is not YAML"),
    (ROME + "chekpoints: [1]\n", "Did you mean 'checkpoints'?"),
    (ROME + "checkpoints: [1, many]\n", "(given: 'many')"),
    (BASE + "editors: [romee]\n", "Did you mean 'rome'?"),
    (BASE + "editors: [memit+rekt]\n", "Did you mean 'rect'?"),
    (BASE + "editors: [kn+norm]\n", "kn has none"),
    (BASE + "editors: [grace+rect]\n", "'rect' can't regularize grace"),
    (BASE + "editors: [{name: rome, settings: {v_lrr: 1}}]\n", "Did you mean 'v_lr'?"),
    (BASE + "editors: [{name: rome, settings: {v_lr: fast}}]\n", "v_lr = 'fast'"),
    (
        BASE + "editors: [{name: rome, batch_size: 2}]\ncheckpoints: [2]\n",
        "rome applies one edit at a time",
    ),
    (
        "name: x\nmodels: [smollm2-135m-instrct]\neditors: [rome]\n",
        "Did you mean 'smollm2-135m-instruct'?",
    ),
    ("name: x\nmodels: [./nowhere]\neditors: [rome]\n", "there is no such file or folder"),
    (ROME + "engine: torhc\n", "Did you mean 'torch'?"),
    (ROME + "edit_quality: {metrics: [politeness]}\n", "Unknown metric of edit quality 'politeness'"),
    (ROME + "edits: {source: counterfct}\n", "Did you mean 'counterfact'"),
    (ROME + "edits: {source: facts.jsonl}\n", "Can't read facts.jsonl"),
    (ROME + "edits: {source: zsre, file: z.json}\n", "Can't read z.json"),
    (ROME + "statistics: {source: text.txt}\n", "'text.txt' is not a file"),
    (ROME + "alarms: {stop_when: perplexty > 3x}\n", "Unknown health metric 'perplexty'"),
    (ROME + "suites: [biltin]\n", "Did you mean 'builtin'?"),
    (ROME + "suites: [{name: builtin, categories: [arithmetics]}]\n", "Did you mean 'arithmetic'?"),
    (ROME + "suites: [{name: builtin, limit: 1000}]\n", "the largest category has"),
    (ROME + "suites: [{name: refusal, limit: 1000}]\n", "requests of each kind"),
    (ROME + "suites: [{name: mmlu, subjects: [anatomi]}]\n", "Did you mean 'anatomy'"),
    (ROME + "suites: [lm_eval:helaswag]\n", "Did you mean 'hellaswag'"),
    (ROME + "suites: [{name: lm_eval, task: humaneval}]\n", "--confirm-run-unsafe-code, or write"),
    (ROME + "device: cudaa\n", "Unknown device 'cudaa'"),
    (ROME + "device_map: {model.layers: cudaa}\n", "'cudaa' is no device"),
    (ROME + "device: cuda:one\n", "Choose cpu, cuda, cuda:0"),
    (
        ROME + "checkpoints: [0, 1000]\n",
        "line 4: checkpoint 1000 needs 1000 edits, but the source 'builtin'",
    ),
    (ROME + "edits: {count: 1000}\n", "edits.count = 1000 needs 1000 edits, but"),
    (ROME + "edits: {source: incomplete.jsonl}\n", "record 1: the field 'target_new' is missing"),
    (ROME + "edits: {source: zsre, file: incomplete.jsonl}\n", "record 1: the field 'src' is missing"),
    (ROME + "edits: {source: general.jsonl}\ncheckpoints: [1]\n", "1 of 1 edits have no subject"),
    (ROME + "edits: {source: counterfact-easyedit}\n", "Set SEQUELA_DATA to a folder with counterfact"),
    (ROME + "edits: {source: counterfact}\n", "Can't load hub:azhx/counterfact"),
    (ROME + "edits: {source: jsonl}\n", "reads your own file, but no file was given"),
    (BASE + "editors: [ike]\n", "The edit source 'counterfact-easyedit-train' is not on the hub"),
    (BASE + "editors: [{name: ike, settings: {demonstrations: zsree}}]\n", "Did you mean 'zsre'"),
    (BASE + "editors: [{name: rome, settings: {preset: no.yaml}}]\n", "The preset no.yaml can't be read"),
    (BASE + "editors: [{name: rome, settings: {preset: best}}]\n", "recommended, published, none"),
    (BASE + "editors: [{name: rome, v_lrr: 1}]\n", "Did you mean 'settings.v_lr'?"),
    (ROME + "batch_size: 2\n", "Did you mean 'editors.batch_size'?"),
    (ROME + "suites: [mmlu]\n", "The data of 'mmlu' are not in a local file"),
    (ROME + "suites: [lm_eval:arc_easy]\n", "SEQUELA_DATA/lm_eval/arc_easy/<split>.jsonl"),
    (ROME + "suites: [own.yaml]\n", "The task file own.yaml names 'none.jsonl'"),
    (ROME + "memory: 300MB\n", "Raise `memory`"),
    (ROME + "memory: 1.2GiB\n", "too low for smollm2-135m-instruct"),
    (ROME + "seed: 9223372036854775808\n", "seed"),
    (ROME + "order_seeds: [9223372036854775808]\n", "order_seeds.1"),
]
"""Study files with an error, each with a part of the message."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """The outcomes of running `INVALID_STUDIES`."""
    folder = tmp_path_factory.mktemp("invalid")
    (folder / "incomplete.jsonl").write_text(INCOMPLETE, encoding="utf-8")
    general = Edit(id="a", prompt="It rains in", target_new="May").model_dump_json()
    (folder / "general.jsonl").write_text(f"{general}\n", encoding="utf-8")
    (folder / "own.yaml").write_text(OWN_TASK, encoding="utf-8")
    for number, (text, _) in enumerate(INVALID_STUDIES):
        (folder / f"bad{number}.yaml").write_text(text, encoding="utf-8")
    return told_one_by_one(folder, [("run", f"bad{number}.yaml") for number in range(len(INVALID_STUDIES))])


@pytest.mark.parametrize("number", range(len(INVALID_STUDIES)), ids=[text for text, _ in INVALID_STUDIES])
def test_an_invalid_study_file_is_reported_before_any_heavy_import(
    reports: list[Outcome], number: int
) -> None:
    reported = reports[number]
    assert reported.status == 2
    assert reported.stderr.startswith(f"Error: bad{number}.yaml")
    assert INVALID_STUDIES[number][1] in reported.stderr
    assert "Traceback" not in reported.stderr
    assert reported.imported == ()


def test_a_missing_study_file_is_reported_at_once(tmp_path: Path) -> None:
    reported = told_by(tmp_path, "run", "missing.yaml")
    assert reported.status == 2
    assert "missing.yaml can't be read: No such file or directory" in reported.stderr
    assert reported.imported == ()


WRONG_OPTIONS: list[tuple[tuple[str, ...], str]] = [
    (("--device", "cudaa"), "Unknown device 'cudaa'"),
    (("--device-map", "disc"), "'disc' is no device"),
    (("--precision", "bfloat"), "Did you mean 'bfloat16'"),
    (("--memory", "300MB"), "Raise --memory"),
    (("--engine", "torhc"), "Did you mean 'torch'"),
    (("--delta", "nowhere"), "nowhere holds no saved edits"),
    (("--suite", "lm_eval:helaswag"), "Did you mean 'hellaswag'"),
    (("--suite", "lm_eval:humaneval"), "give `sequela evaluate` the option --confirm-run-unsafe-code"),
    (("--suite", "lm_eval:humaneval", "--confirm-run-unsafe-code"), "openai_humaneval"),
    (("--suite", "mmlu"), "Set SEQUELA_DATA to a folder that has mmlu"),
    (("--suite", "builtin", "--limit", "1000"), "the largest category has"),
]
"""Options of `sequela evaluate` with an error, each with a part of the message."""


def test_wrong_options_of_evaluate_are_reported_before_any_heavy_import(tmp_path: Path) -> None:
    commands = [("evaluate", *options) for options, _ in WRONG_OPTIONS]
    for command, reported, (_, said) in zip(
        commands, told_one_by_one(tmp_path, commands), WRONG_OPTIONS, strict=True
    ):
        assert reported.status == 2, command
        assert said in reported.stderr, command
        assert "Traceback" not in reported.stderr, command
        assert reported.imported == (), command


def test_a_run_names_the_package_of_a_plug_in_that_is_no_longer_installed(tmp_path: Path) -> None:
    """Its study has a name that would otherwise only be unknown."""
    plugin = Plugin(kind="editor", name="gentle", distribution="gentle-editing", version="1.2")
    manifest = Manifest(
        name="x", evaluations_planned=1, environment=collect_environment(), config={}, plugins=(plugin,)
    )
    (tmp_path / "runs" / "x").mkdir(parents=True)
    write_manifest(tmp_path / "runs" / "x", manifest)
    (tmp_path / "study.yaml").write_text(BASE + "editors: [gentle]\n", encoding="utf-8")
    reported = told_by(tmp_path, "run", "study.yaml")
    assert reported.status == 2
    assert (
        "used the method 'gentle' of the package gentle-editing 1.2, which is not installed"
        in reported.stderr
    )
    assert "pip install 'gentle-editing==1.2'" in reported.stderr
    assert reported.imported == ()
    elsewhere = told_by(tmp_path, "run", "study.yaml", "--output", "other")
    assert "Unknown method 'gentle'" in elsewhere.stderr
