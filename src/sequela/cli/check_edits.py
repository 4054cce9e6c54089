"""`sequela edits --check`: what an edit set says about itself."""

from __future__ import annotations

from dataclasses import asdict

from sequela.cli.console import print_entries, print_json, print_line, standard_error
from sequela.core.errors import BadInputError

_LENGTHS = (
    "long_edit",
    "long_prompt",
    "long_target",
    "long_neighborhood_answer",
    "long_portability_answer",
)
"""The kinds of findings for which a tokenizer is needed."""


def check_edit_set(source: str | None, model: str | None, all_probes: bool, as_json: bool) -> None:
    """Checks the edits of a source and prints the findings.

    Args:
        source: The source or file.
        model: The model whose tokenizer counts tokens, and whose context limits them; None for no lengths.
        all_probes: Whether to check all probes, or only those that a study measures by default.
        as_json: Whether to print JSON.

    Raises:
        BadInputError: No source is given, or a record is invalid.
        SequelaError: The data or the model can't be loaded.
    """
    from sequela.cli.progress import shown_progress
    from sequela.edits import check_edits, load_edits
    from sequela.evaluation.edit_quality.probes import EditQualitySettings

    if source is None:
        raise BadInputError(
            "--check needs a source of edits or a file.",
            hint="For example: sequela edits --check facts.jsonl",
        )
    edits = load_edits(source)
    loaded = None
    if model is not None:
        from sequela.models import load_model

        with shown_progress(standard_error()) as progress:
            loaded = load_model(model, device="cpu", progress=progress)
    settings = EditQualitySettings()
    findings = check_edits(
        edits,
        None if loaded is None else loaded.tokenizer,
        context_length=None if loaded is None else loaded.context_length,
        max_new_tokens=settings.max_new_tokens,
        max_neighborhood=None if all_probes else settings.max_neighborhood,
        max_portability=None if all_probes else settings.max_portability,
    )
    if as_json:
        print_json(
            {
                "source": edits.name,
                "edits": len(edits),
                "skipped": [asdict(record) for record in edits.skipped],
                "model": model,
                "context_length": None if loaded is None else loaded.context_length,
                "findings": [asdict(one) for one in findings],
            }
        )
        return
    print_entries(
        f"{edits.name}: {len(edits):,} edits, {len(edits.skipped)} records skipped, {len(findings)} findings",
        ((one.counted, one.consequence, one.examples) for one in findings),
    )
    for record in edits.skipped[:3]:
        print_line(f"skipped: {record}")
    if loaded is None:
        print_line("\nThe lengths of edits and answers were not checked; they need a tokenizer (--model).")
    elif not {one.kind for one in findings} & set(_LENGTHS):
        print_line(
            f"\nBy the tokenizer of {loaded.name}, all edits and prompts fit the context of "
            f"{loaded.context_length:,} tokens, and all answers the {settings.max_new_tokens} tokens of free "
            "decoding."
        )
