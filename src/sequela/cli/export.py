"""`sequela export`: saved edits as a checkpoint that any program can load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sequela.cli.console import (
    DeviceOption,
    JsonOption,
    PrecisionOption,
    print_json,
    standard_error,
    standard_output,
)
from sequela.cli.progress import shown_progress


def export(
    folder: Annotated[Path, typer.Argument(help="What `sequela edit --output` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The new checkpoint's folder.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The unedited model; by default as it was called then."),
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Merge saved edits into a model's weights and write it as a Hugging Face checkpoint.

    Edits of methods that sit beside a layer or in front of requests can't be merged.
    """
    from sequela.editors.export import check_export, export_merged
    from sequela.models import load_model

    description = check_export(folder, output)
    with shown_progress(standard_error()) as progress:
        base = load_model(model or description.base_name, device=device, dtype=precision, progress=progress)
        made = export_merged(folder, base, output)
    if as_json:
        print_json({**made.model_dump(mode="json"), "saved_in": str(output)})
        return
    n_edits = len(made.edits)
    text = f"{base.name} with {n_edits} edit{'' if n_edits == 1 else 's'} of {made.method} saved in {output}"
    standard_output().print(escape(text), highlight=False, soft_wrap=True)
