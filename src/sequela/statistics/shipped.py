"""Sampled corpora that come with the program, so that the first edit doesn't wait for them.

Sampling ten tokens for each dimension of the key takes minutes on a processor. For the default model and
the default recipe the token ids were sampled once, by `sample_corpus`, and are shipped. They are found by
content: the model's fingerprint and the recipe, so that another model, dtype or seed never meets them.

Sampled again, the text is the same on the same kind of processor only: where two tokens are about equally
likely to be drawn, the last bit of a probability decides. What holds everywhere, and is tested, is that each
token is the one that the recipe draws behind those before it, up to such draws.

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
    """The place of the token ids of a model and a recipe, whether or not they are shipped.

    Args:
        fingerprint: The model's fingerprint.
        recipe: What `corpus_key` gives.
    """
    return _DATA / f"self-{hash_json({'model': fingerprint, 'corpus': recipe})}.npy"


def shipped_sequences(fingerprint: str, recipe: str) -> torch.Tensor | None:
    """The token ids `[sequences, window]` of a model and a recipe; None if they aren't shipped."""
    path = shipped_path(fingerprint, recipe)
    if not path.is_file():
        return None
    return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.int64))
