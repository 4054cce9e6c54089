"""Lists are printed and invalid study files are reported before any slow import.

Each command runs in an interpreter of its own, whose imports are checked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import sequela
from sequela.editors.registry import METHOD_REGISTRY

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
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": f"{Path(sequela.__file__).parents[1]}{os.pathsep}{folder}",
            "SEQUELA_CACHE": str(folder / "cache"),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    stderr, _, modules = ran.stderr.rstrip("\n").rpartition("\n")
    loaded = json.loads(modules)
    return Outcome(ran.stdout, stderr, ran.returncode, tuple(name for name in HEAVY if name in loaded))


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
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
        (ROME + "suites: [{name: lm_eval, task: humaneval}]\n", "runs code that the model writes"),
    ],
)
def test_an_invalid_study_file_is_reported_before_any_heavy_import(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    reported = told_by(tmp_path, "run", "bad.yaml")
    assert reported.status == 2
    assert reported.stderr.startswith("Error: bad.yaml")
    assert said in reported.stderr
    assert "Traceback" not in reported.stderr
    assert reported.imported == ()


def test_a_missing_study_file_is_reported_at_once(tmp_path: Path) -> None:
    reported = told_by(tmp_path, "run", "missing.yaml")
    assert reported.status == 2
    assert "missing.yaml can't be read: No such file or directory" in reported.stderr
    assert reported.imported == ()
