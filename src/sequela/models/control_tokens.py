"""Control tokens: text is text, and only a chat template writes them.

A tokenizer turns `<|im_end|>` in a text into the token that ends a turn, wherever it comes from. Here texts
are tokenized without this, so that a subject, a target or a question can quote such a token. The control
tokens of a chat template are marked by noncharacters, which no text has; they are tokenized as what they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from transformers import PreTrainedTokenizerBase

from sequela.core.joining import ANSWER, QUESTION

BEGIN, END = "\ufdd0", "\ufdd1"
"""The marks around a control token."""

_MARKED = re.compile(f"{BEGIN}([^{BEGIN}{END}]*){END}")
_MARKS = re.compile(f"[{BEGIN}{END}{ANSWER}{QUESTION}]")


@dataclass(frozen=True)
class EncodedText:
    """A tokenized text.

    Args:
        text: The text, without marks.
        ids: Its token ids.
        offsets: The characters of each token in the text.
    """

    text: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


def mark_control_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Marks the tokenizer's control tokens in a text, as in that of a chat template."""
    known = sorted(_special_tokens(tokenizer), key=len, reverse=True)
    if not known:
        return text
    return re.sub("|".join(map(re.escape, known)), lambda match: f"{BEGIN}{match[0]}{END}", text)


def without_marks(text: str) -> str:
    """Returns a text without marks."""
    return _MARKS.sub("", text)


def is_control_token(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Returns whether a text has only control tokens of the tokenizer and punctuation; it is no answer."""
    found = _MARKED.subn("", mark_control_tokens(tokenizer, text))
    return found[1] > 0 and not any(char.isalnum() for char in found[0])


def control_token_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Returns the ids of the tokenizer's control tokens."""
    return frozenset(_special_tokens(tokenizer).values())


def encode_text(
    tokenizer: PreTrainedTokenizerBase, text: str, *, add_special_tokens: bool = True
) -> EncodedText:
    """Tokenizes a text; only marked control tokens become control tokens.

    Args:
        tokenizer: A fast tokenizer.
        text: The text, with marks around its control tokens.
        add_special_tokens: Whether to add what the tokenizer puts around a text, such as a beginning token.
    """
    plain = without_marks(text)
    marked = [match[1] for match in _MARKED.finditer(text)]
    if not marked:
        return _encoded(tokenizer, plain, add_special_tokens, split=True)
    whole = _encoded(tokenizer, plain, add_special_tokens, split=False)
    ids = _special_tokens(tokenizer)
    special = {ids[token] for token in ids}
    found = [
        token
        for token, (left, right) in zip(whole.ids, whole.offsets, strict=True)
        if token in special and left < right
    ]
    if found == [ids[token] for token in marked]:
        return whole
    return _in_pieces(tokenizer, text, plain, whole)


def _in_pieces(tokenizer: PreTrainedTokenizerBase, text: str, plain: str, whole: EncodedText) -> EncodedText:
    """Tokenizes the texts between marked control tokens one by one, as one of them quotes a control token."""
    added = [(token, place) for token, place in zip(whole.ids, whole.offsets, strict=True) if place == (0, 0)]
    ids, offsets = [token for token, _ in added], [place for _, place in added]
    at = 0
    for number, piece in enumerate(_MARKED.split(text)):  # texts and control tokens in turn
        piece = without_marks(piece)
        if number % 2:
            ids.append(_special_tokens(tokenizer)[piece])
            offsets.append((at, at + len(piece)))
        elif piece:
            part = _encoded(tokenizer, piece, add_special_tokens=False, split=True)
            ids += part.ids
            offsets += [(at + left, at + right) for left, right in part.offsets]
        at += len(piece)
    return EncodedText(plain, tuple(ids), tuple(offsets))


def _encoded(
    tokenizer: PreTrainedTokenizerBase, text: str, add_special_tokens: bool, split: bool
) -> EncodedText:
    encoded = tokenizer(
        text,
        add_special_tokens=add_special_tokens,
        split_special_tokens=split,
        return_offsets_mapping=True,
        return_attention_mask=False,
    )
    return EncodedText(text, tuple(encoded["input_ids"]), tuple(map(tuple, encoded["offset_mapping"])))


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Returns the tokenizer's control tokens with their ids."""
    added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {token: number for token, number in chain(added.items(), named.items()) if token}
