"""The samples of edits of a study: which edits each has, and the checks of their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sequela.core.errors import BadInputError
from sequela.edits import EditSet
from sequela.studies.study import EditsChoice

SamplesOfEdits = Mapping[int | None, EditSet]
"""The edits by sample; of a study without samples, all under None."""


def edits_of_study(source: EditSet, choice: EditsChoice, count: int) -> EditSet:
    """Returns the edits of a study, in the order of the source.

    Args:
        source: All edits of the source.
        choice: The study's choice.
        count: The number of edits, of each sample if the study has samples.

    Returns:
        The first edits; those that are in one of the samples if the study has samples.

    Raises:
        BadInputError: The source has fewer edits, or all samples would be the whole source.
    """
    if choice.samples is None:
        return source.first(count)
    check_samples(source, choice)
    chosen = {edit.id for number in choice.samples for edit in source.sample(number, count)}
    return replace(source, edits=tuple(edit for edit in source if edit.id in chosen))


def samples_of(edits: EditSet, choice: EditsChoice) -> SamplesOfEdits:
    """Returns the edits of each sample.

    Args:
        edits: The edits of the study, as `edits_of_study` returns them. A sample of them is the sample of the
            source, since none of its edits is missing among them.
        choice: The study's choice.
    """
    if choice.samples is None or choice.count is None:
        return {None: edits}
    return {number: edits.sample(number, choice.count) for number in choice.samples}


def check_samples(source: EditSet, choice: EditsChoice) -> None:
    """Checks that the samples of a study can differ.

    Raises:
        BadInputError: Each would have all edits of the source.
    """
    if choice.samples is None or len(choice.samples) < 2 or choice.count != len(source):
        return
    raise BadInputError(
        f"edits.count = {choice.count} is the number of all edits of {source.name!r}, so that the "
        f"{len(choice.samples)} samples would be the same.",
        hint=f"Set `count` to less than {len(source)}, or choose a larger source.",
    )
