"""The corpora that key statistics are computed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.hashing import hash_json, sha256_of_file
from sequela.core.hub import hub_access, unreachable_because
from sequela.core.plain_values import text_problem
from sequela.core.progress import SILENT, Progress
from sequela.core.text_files import lines_of, open_text
from sequela.inference.sampling import sample_texts
from sequela.models import LanguageModel
from sequela.statistics.corpus_spec import CorpusSpec, local_file
from sequela.statistics.shipped import shipped_sequences

TOKENS_PER_DIMENSION = 10
"""The number of tokens per dimension of the key (2 to 10 are enough: Gupta et al., arXiv 2506.04226)."""

SAMPLING_ROWS = 64
"""The number of rows that are sampled at once for the `self` corpus."""


@dataclass(frozen=True)
class Corpus:
    """Token sequences of one length, without padding.

    Args:
        description: A description of the text.
        content_hash: A hash of every token.
        sequences: Token ids `[sequences, window]`.
    """

    description: str
    content_hash: str
    sequences: torch.Tensor

    @classmethod
    def of(cls, description: str, sequences: torch.Tensor) -> Corpus:
        """Returns a corpus of given sequences `[sequences, window]`."""
        return cls(description, hash_json(sequences.tolist()), sequences)

    @property
    def n_tokens(self) -> int:
        """The number of tokens."""
        return self.sequences.numel()


def corpus_key(spec: CorpusSpec, model: LanguageModel) -> str:
    """Returns the key of a corpus before it is tokenized: a hash of the recipe and of a local file."""
    recipe = spec.model_dump()
    recipe["n_tokens"] = n_tokens_of(spec, model)
    path = local_file(spec.source)
    if path is not None:
        recipe["source"] = sha256_of_file(path)
    return hash_json(recipe)


def n_tokens_of(spec: CorpusSpec, model: LanguageModel) -> int:
    """Returns the number of tokens of a recipe for this model."""
    return spec.n_tokens or TOKENS_PER_DIMENSION * model.key_size


def open_corpus(spec: CorpusSpec, model: LanguageModel, progress: Progress = SILENT) -> Corpus:
    """Opens the corpus of a recipe for a model.

    Raises:
        BadInputError: The text file is missing, unreadable or too short.
        SequelaError: A hub data set can't be reached.
    """
    if spec.source == "self":
        shipped = shipped_sequences(model.fingerprint, corpus_key(spec, model))
        if shipped is None:
            return sample_corpus(spec, model, progress)
        return Corpus.of(f"sampled from {model.name} with seed {spec.seed}, shipped with Sequela", shipped)
    count, window = _shape(spec, model)
    windows = _tokenized(model, _texts(spec.source), count, window)
    if len(windows) < count:
        raise BadInputError(
            f"The corpus {spec.source!r} has {len(windows) * window} tokens; {count * window} are needed.",
            hint="Use a longer text, or fewer tokens (--tokens).",
        )
    return Corpus.of(spec.source, torch.tensor(windows))


def sample_corpus(spec: CorpusSpec, model: LanguageModel, progress: Progress = SILENT) -> Corpus:
    """Samples the `self` corpus of a recipe from a model, even if it is shipped."""
    count, window = _shape(spec, model)
    generator = torch.Generator().manual_seed(spec.seed)
    starts = sampling_starts(model, count, generator)
    rows: list[tuple[int, ...]] = []
    for first in range(0, count, SAMPLING_ROWS):
        batch = starts[first : first + SAMPLING_ROWS]
        rows += sample_texts(model, batch, window - len(batch[0]), generator, progress)
    return Corpus.of(f"sampled from {model.name} with seed {spec.seed}", torch.tensor(rows))


def sampling_starts(model: LanguageModel, count: int, generator: torch.Generator) -> list[list[int]]:
    """Returns the starts of sampled rows: random tokens of the vocabulary, so that rows differ in topic."""
    special = set(model.tokenizer.all_special_ids)
    words = [token for token in sorted(model.tokenizer.get_vocab().values()) if token not in special]
    picked = torch.randint(len(words), (count,), generator=generator).tolist()
    start = [model.tokenizer.bos_token_id] if model.tokenizer("a")["input_ids"][0] in special else []
    return [[*start, words[i]] for i in picked]


def _shape(spec: CorpusSpec, model: LanguageModel) -> tuple[int, int]:
    """Returns the number of sequences, and of tokens in each."""
    window = min(spec.window, model.context_length)
    return -(-n_tokens_of(spec, model) // window), window


def _tokenized(model: LanguageModel, texts: Iterator[str], count: int, window: int) -> list[list[int]]:
    rows: list[list[int]] = []
    rest: list[int] = []
    for text in texts:
        rest.extend(model.tokenizer(text, add_special_tokens=False)["input_ids"])
        while len(rest) >= window and len(rows) < count:
            rows.append(rest[:window])
            rest = rest[window:]
        if len(rows) == count:
            break
    return rows


def _texts(source: str) -> Iterator[str]:
    """Yields the texts of a source, in pieces of about a paragraph."""
    path = local_file(source)
    if path is not None:
        with open_text(path) as stream:
            for number, line in enumerate(lines_of(stream, path), start=1):
                if unusable := text_problem(line):
                    raise BadInputError(f"{path}, line {number}: it has {unusable}.")
                yield line
        return
    if source == "wikitext2":
        yield from _hub_texts("Salesforce/wikitext", "wikitext-2-raw-v1", "text")
        return
    name, _, column = source.removeprefix("hub:").partition(":")
    yield from _hub_texts(name, None, column or "text")


def _hub_texts(name: str, config: str | None, column: str) -> Iterator[str]:
    """Yields texts streamed from a data set on the Hugging Face hub, or from its cache without a network."""
    import datasets

    with hub_access() as reachable:
        try:
            rows = datasets.load_dataset(name, config, split="train", streaming=True)
            for row in rows:
                yield row[column]
        except KeyError as error:
            raise BadInputError(f"The data set {name!r} has no column {error}.") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise SequelaError(
                f"The data set {name!r} can't be read: {unreachable_because(error, reachable)}.",
                hint="Without a network, use the source self or a text file.",
            ) from error
