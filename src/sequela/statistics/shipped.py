"""Sampled corpora that are shipped with the program, so that the first edit doesn't wait for them.

Sampling ten tokens for each dimension of the key takes minutes on a CPU. For the default model and the
default recipe the token ids were sampled once, by `sample_corpus`, and are shipped. They are found by content
(the model's fingerprint and the recipe), so that another model, dtype or seed never gets them.

Sampled again, the text is the same only on the same kind of processor: for a draw on the boundary between
two tokens, the last bit of a probability decides. On every processor, except for such draws, each token is
the one that the recipe draws after the tokens before it; this is tested.

To ship another: `np.save(shipped_path(model.fingerprint, corpus_key(spec, model)), rows)` with the rows of
`sample_corpus(spec, model).sequences` as an array of unsigned integers, 16 bits wide if the
vocabulary allows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sequela.core.hashing import hash_json

_DATA = Path(__file__).parent / "data"


def shipped_path(fingerprint: str, recipe: str) -> Path:
    """Returns the file for the token ids of a model and a recipe, whether or not it is shipped.

    Args:
        fingerprint: The model's fingerprint.
        recipe: The key that `corpus_key` returns.
    """
    return _DATA / f"self-{hash_json({'model': fingerprint, 'corpus': recipe})}.npy"


def shipped_sequences(fingerprint: str, recipe: str) -> torch.Tensor | None:
    """Returns the token ids `[sequences, window]` of a model and a recipe; None if they aren't shipped."""
    path = shipped_path(fingerprint, recipe)
    if not path.is_file():
        return None
    return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.int64))
