"""`sequela methods, models, edits, tasks`: what there is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sequela.cli.console import JsonOption, print_json, print_table


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
        print_table(
            "Editing methods",
            ["name", "what it does", "from"],
            ([d.name, d.summary, d.origin] for d in described),
        )
    else:
        (one,) = described
        print_table(f"{one.name}: {one.summary}", ["setting", "meaning"], list(one.hyperparameters.items()))


def models(as_json: JsonOption = False) -> None:
    """List the models that come by a short name, and the supported architectures."""
    from sequela.models import describe_models
    from sequela.models.families import FAMILIES

    described = describe_models()
    architectures = sorted(name for family in FAMILIES for name in family.architectures)
    if as_json:
        print_json({"aliases": [asdict(one) for one in described], "architectures": architectures})
        return
    print_table(
        "Models by short name (a hub id, a folder or a GGUF file works too)",
        list(asdict(described[0])),
        (list(asdict(one).values()) for one in described),
    )
    print_table("Supported architectures", ["class"], ([name] for name in architectures))


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
        print_table(
            "Sources of edits",
            ["name", "what it is", "license", "from"],
            ([one.name, one.about, one.license, one.location] for one in described),
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
    print_table(
        "Suites (edit quality is always measured)",
        ["name", "what it measures", "metric", "shots", "items", "data", "here now"],
        (
            [
                d.name,
                d.what,
                d.metric,
                d.shots if d.shots is not None else "-",
                d.items or "-",
                d.data,
                "yes" if d.available else "no",
            ]
            for d in described
        ),
    )
