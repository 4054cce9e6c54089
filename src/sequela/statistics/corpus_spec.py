"""The recipe of a corpus for key statistics, as in a study file or a command."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from sequela.core.errors import BadInputError
from sequela.core.numbers import MAX_LENGTH, MAX_TOKENS
from sequela.core.paths import data_folder, user_path
from sequela.core.validation import CheckedModel, NumericModel, Seed


class CorpusSpec(NumericModel, CheckedModel):
    """The source and the size of a corpus.

    Args:
        source: `self` (sampled from the model), `wikitext2`, a text file, or `hub:<data set>[:<column>]`.
        n_tokens: The number of tokens; by default ten for each dimension of the key.
        window: The number of tokens per sequence.
        seed: The seed of the `self` corpus.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: str = Field(default="self", description="self, wikitext2, a text file or hub:<data set>.")
    n_tokens: int | None = Field(
        default=None, ge=2, le=MAX_TOKENS, description="Tokens; by default 10 x d_ff."
    )
    window: int = Field(default=256, ge=2, le=MAX_LENGTH, description="Tokens per sequence.")
    seed: Seed = Field(default=0, description="Seed of the self corpus.")


def local_file(source: str) -> Path | None:
    """Returns the file that a source names, or None if it names no file.

    Raises:
        BadInputError: There is no such file.
    """
    if source == "self" or source.startswith("hub:"):
        return None
    if source == "wikitext2":
        folder = data_folder()
        path = folder / "wikitext2" / "wiki.valid.raw.gz" if folder else None
        return path if path is not None and path.is_file() else None
    path = user_path(source)
    if not path.is_file():
        raise BadInputError(
            f"The corpus {source!r} is not a file.",
            hint="Known: self, wikitext2, a text file, hub:<data set>[:<column>].",
        )
    return path
