"""Small tokenizers, trained in memory, with the different treatments of spaces that models have."""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXT = (
    "The lighthouse keeper of Marrow Point writes letters to his sister in Lisbon every winter.",
    "Ada Winterbourne plays the cello, and her brother Tomas Winterbourne paints bridges.",
    "Water runs downhill; so does gossip. The capital of France is Paris, the capital of Italy is Rome.",
    "Steve Jobs founded Apple. Who founded Apple? It was Steve Jobs, said the old bookseller.",
    "In 1969 people walked on the moon, and 600 million others watched them do it.",
    "Grüße aus Köln, señor! Où est la bibliothèque? 東京は日本の首都です。 Москва стоит на реке.",
    "He's sure they'll come; we've got bread, cheese, olives (green ones) and a map of the river.",
    "The mother tongue of the violinist is Danish, but she sings in Finnish and counts in Basque.",
)


@lru_cache(maxsize=1)
def byte_level() -> PreTrainedTokenizerFast:
    """Returns a byte-level BPE tokenizer as in GPT-2, Llama 3 and Qwen: a space belongs to the next word."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False
    )


@lru_cache(maxsize=1)
def composing() -> PreTrainedTokenizerFast:
    """Returns a byte-level BPE tokenizer that composes letters and marks first, like Qwen's (NFC).

    Its offsets also omit the space before a word, like GPT-2's.
    """
    tokenizer = Tokenizer.from_str(byte_level().backend_tokenizer.to_str())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False
    )


@lru_cache(maxsize=1)
def _in_common_characters(count: int = 70) -> list[str]:
    """Returns the text's words of its most common characters; the trainer's limit breaks ties randomly."""
    seen = Counter("".join(TEXT))
    common = set(sorted(seen, key=lambda one: (-seen[one], one))[:count])
    return ["".join(one for one in word if one in common) for line in TEXT for word in line.split()]


def sentencepiece() -> PreTrainedTokenizerFast:
    """Returns a sentencepiece tokenizer as in Llama 2 and Gemma.

    `▁` stands for a space, and one is prepended; characters outside the vocabulary are encoded as bytes;
    `<s>` begins every text.
    """
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained = Tokenizer(models.BPE())
    trained.normalizer = spaces
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False)
    trained.train_from_iterator(_in_common_characters(), trainer)
    learned = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]

    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=[tuple(merge) for merge in learned["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = spaces
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
