"""`sequela tune`: tuning of a method's settings for a model by a sweep."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError
from sequela.core.yaml_files import parse_yaml


def tune(
    model: options.ModelArgument = options.DEFAULT_MODEL,
    editor: options.Editor = "rome",
    edits: options.Edits = "builtin",
    count: Annotated[
        int,
        typer.Option(min=1, help="The number of held-out edits, from the end, since studies use the first."),
    ] = 10,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting and its values, such as v_lr=[0.1,0.5]. Can be repeated (default: layers, and "
            "the steps and clamp factor of target optimization)."
        ),
    ] = None,
    batch_size: options.BatchSize = 1,
    statistics: options.Statistics = "self",
    tokens: options.Tokens = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file for the preset (default: <model>-<editor>.yaml)."),
    ] = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    precision: options.Precision = "float32",
    memory: options.Memory = None,
    as_json: options.Json = False,
) -> None:
    """Tune a method's settings on held-out edits and write the best as a preset, with all trials.

    For example: sequela tune my-model --editor memit --axis "mom2_update_weight=[100,1000]"
    """
    from sequela.core.paths import ensure_writable_file
    from sequela.editors import Resources, create_editor
    from sequela.editors.presets import Preset, write_preset
    from sequela.edits import load_edits
    from sequela.inference import TorchEngine, working_memory
    from sequela.models import load_model
    from sequela.statistics import CorpusSpec
    from sequela.studies.tuning import grid_of, tune

    method = create_editor(editor, {"preset": "none"})
    method.info.check_batch_size(batch_size)
    axes = dict(_axis(text) for text in axis or ())
    held_out = load_edits(edits)[-count:]
    path = output or Path(f"{Path(model).name}-{editor}.yaml")
    ensure_writable_file(path)
    with options.memory_limit_set_by("--memory"), shown_progress(standard_error()) as progress:
        loaded = load_model(model, device=device, device_map=device_map, dtype=precision, progress=progress)
        grid = grid_of(method, loaded, axes)
        spec = CorpusSpec(source=statistics, n_tokens=tokens)
        resources = Resources.for_model(loaded, spec, progress)
        engine = TorchEngine(working_memory(memory, loaded))
        trials = tune(loaded, method, held_out, grid, engine, resources, batch_size, progress)
    best = trials[0]
    command = shlex.join(["sequela", *sys.argv[1:]])
    preset = Preset(
        editor=method.method,
        models=(loaded.name,),
        presets=("recommended",),
        provenance="tuned",
        source=f"{command} ({date.today().isoformat()})",
        settings=best.settings,
        fingerprint=loaded.fingerprint,
        evidence=tuple(json.loads(json.dumps(asdict(trial))) for trial in trials),
    )
    write_preset(path, preset)
    if as_json:
        print_json({"preset": str(path), **preset.model_dump(mode="json")})
        return
    names = list(best.settings)
    print_table(
        f"{editor} on {loaded.name}, {best.n} edits of {edits}, best first",
        [*names, "score", *best.metrics, "|Δ|/|W|", "dropped", "s/edit"],
        (
            [
                *(str(trial.settings[name]) for name in names),
                f"{trial.score:.3f}",
                *(f"{trial.metrics[metric]:.2f}" for metric in best.metrics),
                f"{trial.relative_norm:.3f}",
                str(trial.dropped),
                f"{trial.seconds:.1f}",
            ]
            for trial in trials
        ),
    )
    print_line(f"Written: {path}. Use it as the setting `preset: {path}`.")


def _axis(text: str) -> tuple[str, list[Any]]:
    """Returns the name and the values of an axis, given as `name=[value, value]`.

    Raises:
        BadInputError: The text has another form.
    """
    name, _, values = text.partition("=")
    try:
        parsed = parse_yaml(values, "--axis").content
    except BadInputError:
        parsed = None
    if not name or not isinstance(parsed, list) or not parsed:
        raise BadInputError(f"Invalid value {text!r} of --axis.", hint="Write it as v_lr=[0.1,0.5].")
    return name.strip(), parsed
