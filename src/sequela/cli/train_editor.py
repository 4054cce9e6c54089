"""`sequela train-editor`: training of methods that need it before they can edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.numbers import MAX_SEED, MIN_SEED


def train_editor(
    editor: Annotated[str, typer.Argument(help="A method that needs training; see `sequela methods`.")],
    model: options.Model = options.DEFAULT_MODEL,
    edits: Annotated[
        str, typer.Option("--edits", help="A source of edits with paraphrases and neighborhood prompts.")
    ] = "counterfact-easyedit-train",
    count: Annotated[
        int | None, typer.Option(min=1, help="The number of edits, from the first (default: all).")
    ] = None,
    hparams: options.Hparams = None,
    steps: Annotated[int, typer.Option(min=1, help="The maximum number of steps.")] = 10_000,
    minutes: Annotated[
        float | None, typer.Option(help="The maximum training time in minutes (default: none).")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="The number of edits per step.")] = 10,
    micro_batch: Annotated[
        int, typer.Option(min=1, help="The number of edits per forward pass; fewer edits need less memory.")
    ] = 10,
    lr: Annotated[float, typer.Option(help="The learning rate of Adam.")] = 1e-4,
    validate_every: Annotated[
        int,
        typer.Option(min=1, help="The number of steps between validations, at which the state is saved."),
    ] = 100,
    held_out: Annotated[
        int, typer.Option(min=1, help="The number of held-out edits for validation, from the end.")
    ] = 100,
    patience: Annotated[
        int, typer.Option(min=1, help="The number of validations without improvement before training ends.")
    ] = 10,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Recompute the model's blocks in the backward pass: less memory, more time.",
        ),
    ] = False,
    cache_mib: Annotated[
        int,
        typer.Option(min=0, help="The cache for the unedited model's outputs on held-out edits, in MiB."),
    ] = 1024,
    seed: Annotated[
        int,
        typer.Option(
            min=MIN_SEED,
            max=MAX_SEED,
            help="The seed of the order of edits and of the network's initialization.",
        ),
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The folder for the network (default: a folder in the cache, and the store; `edit` and "
            "`run` find it there).",
        ),
    ] = None,
    device: options.Device = None,
    precision: options.Precision = "float32",
    as_json: options.Json = False,
) -> None:
    """Train a method's network for a model. The same command resumes an interrupted training.

    For example: sequela train-editor mend --model smollm2-135m-instruct --edits zsre-train
    """
    from sequela.core.errors import BadInputError
    from sequela.core.paths import ensure_writable
    from sequela.core.wording import size_in_words
    from sequela.editors import create_editor
    from sequela.editors.presets import with_preset
    from sequela.editors.training.artifact import artifact_folder
    from sequela.editors.training.examples import TrainingEdits
    from sequela.editors.training.settings import TrainingSettings
    from sequela.editors.training.stored_network import keep_network
    from sequela.editors.training.trained_editor import TrainedEditor
    from sequela.editors.training.training import Training
    from sequela.edits import load_edits
    from sequela.models import load_model
    from sequela.store import open_store

    method = create_editor(editor, options.read_settings(hparams))
    if not isinstance(method, TrainedEditor):
        raise BadInputError(
            f"The method {editor} needs no training.", hint="`sequela methods` lists those that do."
        )
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
    if output is not None:
        ensure_writable(output)
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
            progress.say(f"{usable.n_left_out} edits lack a paraphrase or a neighbor's answer: skipped.")
        progress.say(
            f"{len(usable.train)} training edits, {len(usable.held_out)} held-out edits; training needs "
            f"about {size_in_words(training.memory_bytes())} in addition to the model."
        )
        store = None if output else open_store()
        artifact = training.run()
        address = None if store is None else keep_network(folder, store, progress)[1]
    if as_json:
        stored = None if address is None else str(address)
        print_json({"folder": str(folder), "object": stored, **artifact.model_dump(mode="json")})
        return
    print_table(
        f"{editor} for {base.name}, trained for {artifact.curve[-1].seconds / 60:.0f} min on "
        f"{artifact.n_edits} edits of {artifact.edits}",
        ["step", "training loss", "validation loss", "efficacy", "paraphrase", "locality", "KL"],
        (
            [
                f"{one.step} (best)" if one.step == artifact.step else str(one.step),
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
    print_line(f"Saved in {folder}")
    if store is not None and address is not None:
        print_line(f"For all studies that share the store {store.location}: {address}")
