"""A tiny sentence encoder with random weights."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

from sequela.models.sentence_encoder import SentenceEncoder
from support.tokenizers import TEXT

CONTEXT = 24
"""How many tokens it reads."""


def word_pieces() -> PreTrainedTokenizerFast:
    """A tokenizer as BERT has it: pieces of lower-case words between `[CLS]` and `[SEP]`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, show_progress=False, special_tokens=special)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, special.index(token)) for token in special[2:]]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tiny_encoder(seed: int = 0) -> SentenceEncoder:
    """Two layers, 16 wide, random weights."""
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
