"""`sequela train-editor`: methods that must be trained before they can edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sequela.cli.console import (
    DEFAULT_MODEL,
    DeviceOption,
    JsonOption,
    PrecisionOption,
    print_json,
    print_table,
    standard_error,
    standard_output,
)
from sequela.cli.progress import shown_progress


def train_editor(
    editor: Annotated[str, typer.Argument(help="The method; `sequela methods` says which need it.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The model.")] = DEFAULT_MODEL,
    edits: Annotated[
        str, typer.Option("--edits", help="A source of edits with paraphrases and neighborhood prompts.")
    ] = "counterfact-easyedit-train",
    count: Annotated[
        int | None, typer.Option(min=1, help="How many of them, from the first; all by default.")
    ] = None,
    hparams: Annotated[
        Path | None, typer.Option("--hparams", help="A YAML or JSON file of the method's settings.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="The most steps.")] = 10_000,
    minutes: Annotated[float | None, typer.Option(help="The most minutes; no limit by default.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Edits in a step.")] = 10,
    micro_batch: Annotated[
        int, typer.Option(min=1, help="Edits that go through the model together; fewer need less memory.")
    ] = 10,
    lr: Annotated[float, typer.Option(help="Adam's learning rate.")] = 1e-4,
    validate_every: Annotated[
        int, typer.Option(min=1, help="Steps between validations; the state is kept at each.")
    ] = 100,
    held_out: Annotated[int, typer.Option(min=1, help="Edits that are held out: the last ones.")] = 100,
    patience: Annotated[
        int, typer.Option(min=1, help="Validations without a better one after which training ends.")
    ] = 10,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Run the model's blocks again in the backward pass: less memory, more time.",
        ),
    ] = False,
    cache_mib: Annotated[
        int, typer.Option(min=0, help="MiB for what the unedited model makes of the held-out edits.")
    ] = 1024,
    seed: Annotated[int, typer.Option(help="The seed of the order and of the network's beginning.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder; by default where `edit` and `run` look for it."),
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Train a method's network for a model; the same command resumes a stopped training.

    For example: sequela train-editor mend --model smollm2-135m-instruct --edits zsre-train
    """
    from sequela.cli.edit import read_settings
    from sequela.core.errors import BadInputError
    from sequela.core.paths import ensure_writable
    from sequela.editors import create_editor
    from sequela.editors.presets import with_preset
    from sequela.editors.training.artifact import artifact_folder
    from sequela.editors.training.examples import TrainingEdits
    from sequela.editors.training.settings import TrainingSettings
    from sequela.editors.training.trained_editor import TrainedEditor
    from sequela.editors.training.training import Training
    from sequela.edits import load_edits
    from sequela.models import load_model

    method = create_editor(editor, read_settings(hparams))
    if not isinstance(method, TrainedEditor):
        raise BadInputError(f"{editor} needs no training.", hint="`sequela methods` says which do.")
    settings = TrainingSettings(
        **method.training_defaults,
        n_steps=steps,
        batch_size=batch_size,
        micro_batch=micro_batch,
        lr=lr,
        validate_every=validate_every,
        n_held_out=held_out,
        patience=patience,
        minutes=minutes,
        gradient_checkpointing=gradient_checkpointing,
        cache_mib=cache_mib,
        seed=seed,
    )
    usable = TrainingEdits.of(load_edits(edits, limit=count), held_out)
    with shown_progress(standard_error()) as progress:
        base = load_model(model, device=device, dtype=precision, progress=progress)
        chosen = with_preset(method, base, progress)
        assert isinstance(chosen, TrainedEditor)
        base.check_layers(chosen.layers_of(base))
        folder = output or artifact_folder(editor, base, chosen.training_dependent_settings)
        ensure_writable(folder)
        training = Training(chosen, base, usable, settings, folder, progress)
        if usable.n_left_out:
            progress.say(f"{usable.n_left_out} edits lack a paraphrase or a neighbor's answer: left out.")
        progress.say(
            f"{len(usable.train)} edits to train on, {len(usable.held_out)} held out; training needs about "
            f"{training.memory_bytes() / 2**20:,.0f} MiB above the model."
        )
        artifact = training.run()
    if as_json:
        print_json({"folder": str(folder), **artifact.model_dump(mode="json")})
        return
    print_table(
        f"{editor} for {base.name}, trained for {artifact.curve[-1].seconds / 60:.0f} min on "
        f"{artifact.n_edits} edits of {artifact.edits}",
        ["step", "training loss", "loss", "efficacy", "paraphrase", "locality", "KL"],
        (
            [
                f"{one.step} kept" if one.step == artifact.step else str(one.step),
                "" if one.train_loss is None else f"{one.train_loss:.4f}",
                f"{one.loss:.4f}",
                f"{one.efficacy:.2f}",
                f"{one.paraphrase:.2f}",
                f"{one.locality:.2f}",
                f"{max(one.kl, 0.0):.4f}",
            ]
            for one in artifact.curve
        ),
    )
    standard_output().print(f"Kept in {escape(str(folder))}", highlight=False, soft_wrap=True)
