"""`sequela edits --check`: what an edit set says about itself."""

from __future__ import annotations

from dataclasses import asdict

from sequela.cli.console import print_entries, print_json, print_line, standard_error
from sequela.core.errors import BadInputError


def check_edit_set(source: str | None, model: str | None, all_probes: bool, as_json: bool) -> None:
    """Checks the edits of a source and prints the findings.

    Args:
        source: The source or file.
        model: The model whose tokenizer counts tokens; None to leave lengths out.
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
    tokenizer = None
    if model is not None:
        from sequela.models import load_model

        with shown_progress(standard_error()) as progress:
            tokenizer = load_model(model, device="cpu", progress=progress).tokenizer
    settings = EditQualitySettings()
    findings = check_edits(
        edits,
        tokenizer,
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
    if model is None:
        print_line("\nThe lengths of answers were not checked; they need a tokenizer (--model).")
