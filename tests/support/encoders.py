"""A tiny sentence encoder with random weights."""

from __future__ import annotations

import re
from collections import Counter

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

from sequela.models.sentence_encoder import SentenceEncoder
from support.tokenizers import TEXT

CONTEXT = 24
"""The maximum number of tokens of a text."""

VOCABULARY = 300
"""The maximum number of pieces of its tokenizer."""


def word_pieces() -> PreTrainedTokenizerFast:
    """Returns a tokenizer like BERT's: pieces of lower-case words between `[CLS]` and `[SEP]`.

    Its vocabulary is counted, not trained, since a trainer breaks ties randomly.
    """
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = Counter(word for line in TEXT for word in re.findall(r"[a-z]+", line.lower()))
    letters = sorted(set("".join(words)))
    common = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *common][:VOCABULARY]
    tokenizer = Tokenizer(
        models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, special.index(token)) for token in special[2:]]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tiny_encoder(seed: int = 0) -> SentenceEncoder:
    """Returns an encoder of two layers, 16 wide, with random weights."""
    tokenizer = word_pieces()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
    )
    module = AutoModel.from_config(config, dtype=torch.float32)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=source)
            parameter.copy_(parameter + 0.2 * noise if parameter.dim() == 1 else 0.5 * noise)
    return SentenceEncoder.wrap(module, tokenizer, f"tiny-encoder-{seed}")
