"""`sequela edit`: application of edits to a model, with a report on each."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError
from sequela.core.numbers import MAX_SEED, MIN_SEED


class OnBadEdit(str, enum.Enum):
    """The action for a bad edit; see `BadEditPolicy`."""

    REPORT = "report"
    SKIP = "skip"
    STOP = "stop"


def edit(
    model: options.Model = options.DEFAULT_MODEL,
    editor: options.Editor = "rome",
    edits: Annotated[
        str | None, typer.Option("--edits", help=f"{options.EDITS_HELP[:-1]} (default: builtin).")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="The number of edits, from the first.")] = 1,
    subject: Annotated[
        str | None, typer.Option(help="The subject of a single edit, which is given instead of --edits.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The prompt of the single edit, with {} for the subject.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The new target of the single edit.")] = None,
    batch_size: options.BatchSize = 1,
    hparams: options.Hparams = None,
    contexts: Annotated[
        Path | None,
        typer.Option(
            "--contexts",
            help="A text file with a context template per line, the first of which is {} (default: sampled).",
        ),
    ] = None,
    statistics: options.Statistics = "self",
    tokens: options.Tokens = None,
    on_bad_edit: Annotated[
        OnBadEdit,
        typer.Option(help="The action for an update whose norm exceeds half of the weight's norm."),
    ] = OnBadEdit.REPORT,
    seed: Annotated[int, typer.Option(min=MIN_SEED, max=MAX_SEED, help="The seed of sampled contexts.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder for the saved edits (default: none).")
    ] = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    precision: options.Precision = "float32",
    memory: options.Memory = None,
    as_json: options.Json = False,
) -> None:
    """Edit a model, report the success of each edit, and optionally save the edits.

    For example: sequela edit --subject "The Eiffel Tower" --prompt "{} is in the city of" --target Rome
    """
    from sequela.core.paths import ensure_writable
    from sequela.editors import BadEditPolicy, Resources, create_editor
    from sequela.editors.saved_edits import MethodEdits, SavedEdits
    from sequela.editors.session import EditSession
    from sequela.editors.shared.contexts import read_contexts
    from sequela.editors.storage import save_edits
    from sequela.edits import EditsInForce, Questions, check_edits
    from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, measure_edits
    from sequela.evaluation.edit_quality.probes import EditQualitySettings
    from sequela.inference import TorchEngine, working_memory
    from sequela.models import load_model
    from sequela.statistics import CorpusSpec

    chosen = _chosen_edits(edits, count, subject, prompt, target)
    method = create_editor(editor, options.read_settings(hparams))
    method.info.check_batch_size(batch_size)
    method.info.check_subjects(chosen)
    templates = read_contexts(contexts) if contexts else None
    if output is not None:
        ensure_writable(output)
    settings = EditQualitySettings()
    answers: list[dict[str, Any]] = []
    with options.memory_limit_set_by("--memory"), shown_progress(standard_error()) as progress:
        if chosen.skipped:
            progress.say(
                f"{len(chosen.skipped)} records of {chosen.name} are no valid edits and were skipped."
            )
        base = load_model(model, device=device, device_map=device_map, dtype=precision, progress=progress)
        findings = check_edits(
            chosen,
            base.tokenizer,
            context_length=base.context_length,
            max_new_tokens=settings.max_new_tokens,
        )
        for finding in findings:
            progress.say(f"{chosen.name}: {finding.sentence}")
        corpus = CorpusSpec(source=statistics, n_tokens=tokens)
        resources = Resources.for_model(base, corpus, progress, contexts=templates, seed=seed)
        policy = BadEditPolicy.of(on_bad_edit.value)
        session = EditSession(base, method, resources, batch_size, policy).with_preset()
        method, engine = session.editor, TorchEngine(working_memory(memory, base))
        task = progress.start(f"editing with {editor}", len(chosen))
        result = start = session.start()
        questions, dropped = Questions(chosen), set[str]()
        for result in session.run(chosen, start):
            dropped |= {report.edit_id for report in result.reports if report.dropped}
            in_force = EditsInForce(questions, result.n_edits, frozenset(dropped))
            items = measure_edits(
                session.edited(result), engine, result.edits, SUCCESS_AT_EDIT, settings, in_force=in_force
            )
            for one, report in zip(result.edits, result.reports, strict=True):
                own = [item for item in items if item.item == one.id]
                answers.append(
                    {
                        **report.model_dump(),
                        "prompt": one.question,
                        "target_new": one.target_new,
                        "answer": next((i.answer for i in own if i.metric == "efficacy"), ""),
                        "superseded_by": None,  # known only after the last edit
                        "success@edit": {f"{i.metric}/{i.protocol}": i.value for i in own},
                        "too_long": max((i.too_long for i in own if i.too_long is not None), default=None),
                    }
                )
            progress.advance(task, len(result.edits))
        progress.finish(task)
    at_end = EditsInForce(questions, result.n_edits, frozenset(dropped))
    for one, answer in zip(chosen, answers, strict=False):  # fewer answers if a bad edit ended the editing
        later = at_end.superseding(one)
        answer["superseded_by"] = None if later is None else later.id
    delta = method.finalize_delta(base, result.delta)
    ids = [answer["edit_id"] for answer in answers if not answer["dropped"]]
    if output is not None and ids:
        save_edits(output, base, SavedEdits(delta, (MethodEdits.of(method, result.state, ids),)))
    if as_json:
        print_json(
            {
                "model": base.name,
                "fingerprint": base.fingerprint,
                "editor": method.name,
                "variant": method.variant,
                "settings": method.settings,
                "state": result.state.model_dump(mode="json"),
                "location": method.location,
                "delta": {"content_hash": delta.content_hash, "norms": delta.norms()},
                "saved_in": str(output) if output and ids else None,
                "edits": answers,
            }
        )
        return
    print_table(
        f"{method.name} on {base.name}, measured right after each edit",
        ["edit", "prompt", "target", "answer", "success", "loss", "|Δ|/|W|", "note"],
        (
            [
                answer["edit_id"],
                answer["prompt"],
                answer["target_new"],
                " ".join(answer["answer"].split())[:60],
                _success_of(answer),
                _loss_of(answer),
                f"{answer['relative_norm']:.3f}",
                _note_of(answer),
            ]
            for answer in answers
        ),
    )
    for line in _summary_of(answers):
        print_line(line)
    if output is not None:
        print_line(f"Saved in {output}" if ids else f"Nothing was saved in {output}: no edit was applied.")


def _success_of(answer: dict[str, Any]) -> str:
    if answer["dropped"] or not _is_measured(answer):
        return "–"
    return "yes" if _expressed(answer) else "no"


def _is_measured(answer: dict[str, Any]) -> bool:
    """Returns whether an edit was measured: it is not, if a later one of its batch superseded it."""
    return "efficacy/free_decoding" in answer["success@edit"]


def _expressed(answer: dict[str, Any]) -> bool:
    return bool(answer["success@edit"].get("efficacy/free_decoding"))


def _loss_of(answer: dict[str, Any]) -> str:
    return f"{answer['final_loss']:.3f}" if math.isfinite(answer["final_loss"]) else "–"


def _summary_of(answers: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields lines on the applied edits and on the superseded ones, if some were dropped or superseded."""
    applied = [answer for answer in answers if not answer["dropped"]]
    measured = [answer for answer in applied if _is_measured(answer)]
    n_superseded = sum(answer["superseded_by"] is not None for answer in answers)
    if len(applied) < len(answers) or n_superseded:
        yield (
            f"{len(applied)} of {len(answers)} edits were applied; right after each, the model expressed "
            f"{sum(map(_expressed, measured))} of {len(measured)}."
        )
    if n_superseded:
        yield (
            f"{n_superseded} of {len(answers)} edits {'is' if n_superseded == 1 else 'are'} superseded by "
            "a later edit of the same question: the model should no longer give the earlier answer."
        )


def _note_of(answer: dict[str, Any]) -> str:
    too_long, later = answer["too_long"], answer["superseded_by"]
    details = [
        f"not applied: {answer['dropped']}" if answer["dropped"] else "",
        answer["warning"],
        f"superseded by {later}" if later is not None and not answer["dropped"] else "",
        f"longer than the model's context: {too_long} tokens" if too_long and not answer["dropped"] else "",
    ]
    return "; ".join(part for part in details if part)


def _chosen_edits(  # type: ignore[no-untyped-def]
    source: str | None, count: int, subject: str | None, prompt: str | None, target: str | None
):
    from sequela.core.validation import InvalidFieldsError, problems_in
    from sequela.edits import Edit, EditSet, load_edits

    required = {"--prompt": prompt, "--target": target}
    given = [name for name, value in {"--subject": subject, **required}.items() if value is not None]
    if source is not None and given:
        raise BadInputError(f"Give either --edits or {', '.join(given)}, not both.")
    if given:
        missing = [name for name, value in required.items() if value is None]
        if missing:
            raise BadInputError(f"A single edit needs {', '.join(missing)} too.")
        try:
            single = Edit(id="1", subject=subject, prompt=prompt or "", target_new=target or "")
        except InvalidFieldsError as error:
            first, *_ = problems_in(error.error)
            where = f"{first.key}: " if first.key else ""
            raise BadInputError(f"{where}{first.message}.") from error
        return EditSet("command line", (single,))
    return load_edits(source or "builtin", limit=count)
