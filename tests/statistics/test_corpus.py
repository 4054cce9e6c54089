"""The corpus of the statistics: always the same for the same recipe; errors say what is wrong."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, open_corpus
from sequela.statistics.corpus import TOKENS_PER_DIMENSION, corpus_key, n_tokens_of
from support.statistics import write_text
from support.tiny import KEY_WIDTH, tiny_language_model

DATA = Path(os.environ.get("SEQUELA_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


def test_text_sampled_from_the_model_depends_only_on_the_seed(any_family: LanguageModel) -> None:
    specs = [CorpusSpec(n_tokens=120, window=24, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (open_corpus(spec, any_family) for spec in specs)
    assert first.content_hash == again.content_hash != other.content_hash
    assert first.sequences.shape == (5, 24)
    assert first.n_tokens == 120
    assert len({tuple(row) for row in first.sequences.tolist()}) == 5


def test_sampled_text_begins_as_the_tokenizer_begins_texts() -> None:
    with_start = tiny_language_model("mistral")
    assert open_corpus(CorpusSpec(n_tokens=20, window=10), with_start).sequences[:, 0].tolist() == [1, 1]


def test_other_batches_of_sampling_are_still_full_rows() -> None:
    """Samples more rows than fit in one batch."""
    corpus = open_corpus(CorpusSpec(n_tokens=70 * 4, window=4), tiny_language_model("llama"))
    assert corpus.sequences.shape == (70, 4)


def test_a_text_file_is_cut_into_windows_of_its_tokens(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    path = write_text(tmp_path / "text.txt", repeats=3)
    corpus = open_corpus(CorpusSpec(source=str(path), n_tokens=100, window=32), model)
    assert corpus.sequences.shape == (4, 32)
    ids = [
        token
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        for token in model.tokenizer(line)["input_ids"]
    ]
    assert corpus.sequences.reshape(-1).tolist() == ids[:128]


def test_a_packed_text_file_reads_like_the_plain_one(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    plain = write_text(tmp_path / "text.txt")
    packed = tmp_path / "text.txt.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    corpora = [open_corpus(CorpusSpec(source=str(path), n_tokens=200), model) for path in (plain, packed)]
    assert corpora[0].content_hash == corpora[1].content_hash


def test_windows_are_never_longer_than_the_model_s_context() -> None:
    model = tiny_language_model("llama")
    corpus = open_corpus(CorpusSpec(n_tokens=300, window=1000), model)
    assert corpus.sequences.shape == (2, 256)


def test_the_default_is_ten_tokens_for_each_dimension_of_the_key() -> None:
    model = tiny_language_model("llama")
    assert n_tokens_of(CorpusSpec(), model) == TOKENS_PER_DIMENSION * KEY_WIDTH == 640


def test_the_key_of_a_file_is_its_content_not_its_name(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    first, second = write_text(tmp_path / "a.txt"), write_text(tmp_path / "b.txt")
    keys = [corpus_key(CorpusSpec(source=str(path)), model) for path in (first, second)]
    second.write_text("Another text.", encoding="utf-8")
    assert keys[0] == keys[1] != corpus_key(CorpusSpec(source=str(second)), model)


def test_a_file_that_is_too_short_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text("The end.", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"short.txt' has 0 tokens; 1024 are needed"):
        open_corpus(CorpusSpec(source=str(path), n_tokens=1000), tiny_language_model("llama"))


def test_a_missing_file_is_refused_with_what_is_known() -> None:
    with pytest.raises(BadInputError, match=r"'nowhere\.txt' is not a file") as caught:
        open_corpus(CorpusSpec(source="nowhere.txt"), tiny_language_model("llama"))
    assert "wikitext2" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("image.txt", b"\xff\xd8\xff\xe0 no text"),
        ("torn.gz", gzip.compress(b"A text. " * 1000, mtime=0)[:-20]),
        ("spoilt.gz", gzip.compress(b"A text. " * 1000, mtime=0)[:12] + b"\xff" * 30),
        ("plain.gz", b"This is not packed."),
    ],
)
def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=name):
        open_corpus(CorpusSpec(source=str(path), n_tokens=100_000), tiny_language_model("llama"))


def test_wikitext2_comes_from_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (DATA / "wikitext2" / "wiki.valid.raw.gz").is_file():
        pytest.skip("wikitext2 is not in the data folder (SEQUELA_DATA)")
    monkeypatch.setenv("SEQUELA_DATA", str(DATA))
    corpus = open_corpus(CorpusSpec(source="wikitext2", n_tokens=512), tiny_language_model("llama"))
    assert corpus.sequences.shape == (2, 256)


def test_a_text_with_a_nul_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Some words.\nSome \0 words.\n" * 400, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"words\.txt, line 2: it has a NUL character \(at 6\)"):
        open_corpus(CorpusSpec(source=str(path), n_tokens=2000), tiny_language_model("llama"))
