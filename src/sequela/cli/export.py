"""`sequela export`: saved edits, merged into a Hugging Face checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.wording import number_of


def export(
    folder: Annotated[Path, typer.Argument(help="The folder that `sequela edit --output` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the checkpoint.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The unedited model (default: the name in the saved edits)."),
    ] = None,
    device: options.Device = None,
    precision: options.Precision = "float32",
    as_json: options.Json = False,
) -> None:
    """Merge saved edits into a model's weights and write it as a Hugging Face checkpoint.

    Edits of memory-based and in-context methods can't be merged.
    """
    from sequela.editors.export import check_export, export_merged
    from sequela.models import load_model

    description = check_export(folder, output)
    with shown_progress(standard_error()) as progress:
        base = load_model(model or description.base_name, device=device, dtype=precision, progress=progress)
        exported = export_merged(folder, base, output)
    if as_json:
        print_json({**exported.model_dump(mode="json"), "saved_in": str(output)})
        return
    edits = f"{number_of('edit', len(exported.edits))} of {exported.method}"
    print_line(f"Saved {base.name} with {edits} in {output}.")
