"""Checks of the texts of edits: long answers, special tokens, and the boundary of prompt and answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sequela.core.joining import continued, with_space
from sequela.edits.edit import Edit
from sequela.edits.finding import Case, Finding, FindingKind, finding


class Tokenizer(Protocol):
    """The part of a tokenizer of transformers that the checks use."""

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens that have a role, such as the end of a text."""
        ...

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """All tokens that were added to the vocabulary, with the property `special`."""
        ...

    def __call__(self, text: Any, **options: Any) -> Any:
        """Tokenizes texts."""
        ...


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt of an edit, with the answers that are appended to it.

    Args:
        edit_id: The id of the edit.
        field: The edit's field that it comes from.
        prompt: The prompt with the subject filled in.
        answers: The expected answer, and the competing one if there is one.
    """

    edit_id: str
    field: str
    prompt: str
    answers: tuple[str, ...]


def asked_prompts(
    edit: Edit, max_neighborhood: int | None = None, max_portability: int | None = None
) -> Iterator[AskedPrompt]:
    """Yields the prompts by which an edit is applied and measured.

    Args:
        edit: The edit.
        max_neighborhood: The number of neighborhood prompts that are measured; all if None.
        max_portability: The number of portability questions that are measured; all if None.
    """
    targets = tuple(target for target in (edit.target_new, edit.target_true) if target)
    yield AskedPrompt(edit.id, "prompt", edit.question, targets)
    for paraphrase in edit.paraphrases:
        yield AskedPrompt(edit.id, "paraphrases", paraphrase, targets)
    for probe in edit.neighborhood[:max_neighborhood]:
        # Without a known answer, only agreement with the unedited model counts and nothing is appended.
        answers = (probe.answer, edit.target_new) if probe.answer else ()
        yield AskedPrompt(edit.id, "neighborhood", probe.prompt, answers)
    for probe in edit.portability[:max_portability]:
        yield AskedPrompt(edit.id, "portability", probe.prompt, (probe.answer,) if probe.answer else ())


def ends_in_space(prompt: str) -> bool:
    """Returns whether a prompt ends in white space."""
    return prompt != prompt.rstrip()


def is_joined_without_space(prompt: str, answer: str) -> bool:
    """Returns whether an answer is appended to a prompt without a space, and neither brings white space."""
    if not prompt or not answer or prompt[-1].isspace() or answer[0].isspace():
        return False
    return with_space(prompt, answer) == answer


_LIKE_SPECIAL = re.compile(
    r"<\|[^|<>\n]+\|>|<[｜][^<>\n]+[｜]>|</?s>|</?(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn|think)>"
    r"|\[/?INST\]|<</?SYS>>|\[(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]"
)
"""Texts that are special tokens of common tokenizers."""


def special_token_in(tokenizer: Tokenizer | None) -> Callable[[str], str]:
    """Returns a function that finds the first special token in a text; empty if there is none.

    Args:
        tokenizer: The tokenizer whose special tokens are searched; None for those of common tokenizers.
    """
    if tokenizer is None:
        pattern = _LIKE_SPECIAL
    else:
        added = (str(one) for one in tokenizer.added_tokens_decoder.values() if one.special)
        tokens = sorted({*map(str, tokenizer.all_special_tokens), *added}, key=lambda one: (-len(one), one))
        if not tokens:
            return lambda _: ""
        pattern = re.compile("|".join(map(re.escape, tokens)))

    def find(text: str) -> str:
        match = pattern.search(text)
        return match[0] if match else ""

    return find


def check_special_tokens(
    edits: Sequence[Edit], prompts: Sequence[AskedPrompt], tokenizer: Tokenizer | None
) -> Finding | None:
    """Returns the edits with a text in which a special token is written out."""
    find = special_token_in(tokenizer)
    texts: dict[str, dict[str, None]] = {edit.id: {} for edit in edits}
    for one in prompts:
        texts[one.edit_id] |= dict.fromkeys((one.prompt, *one.answers))
    found = ((id_, next(filter(None, map(find, own)), "")) for id_, own in texts.items())
    return finding(
        FindingKind.SPECIAL_TOKEN,
        "Edits with a special token written out in a text",
        (Case((id_,), f"{id_}: {token}") for id_, token in found if token),
        len(edits),
        "It is tokenized as text; an old answer that is nothing else counts as missing.",
    )


def check_boundaries(prompts: Sequence[AskedPrompt]) -> list[Finding | None]:
    """Returns the prompts that end in a space, and those to which a text is appended without one."""
    spaced = (one for one in prompts if ends_in_space(one.prompt))
    joined = (
        (one, answer)
        for one in prompts
        if (answer := next((a for a in one.answers if is_joined_without_space(one.prompt, a)), None))
    )
    return [
        finding(
            FindingKind.TRAILING_SPACE,
            "Prompts that end in a space",
            (Case((one.edit_id,), f"{one.edit_id}, {one.field}: {one.prompt!r}") for one in spaced),
            len(prompts),
            "Spaces at the end don't count; line breaks and tabs are kept.",
        ),
        finding(
            FindingKind.UNSPACED_JOIN,
            "Prompts whose answer follows without a space in written text",
            (
                Case((one.edit_id,), f"{one.edit_id}, {one.field}: {one.prompt[-20:] + answer!r}")
                for one, answer in joined
            ),
            len(prompts),
            "They end, for example, in an opening quotation mark, a currency sign or a Chinese character.",
        ),
    ]


def check_lengths(
    edits: Sequence[Edit], prompts: Sequence[AskedPrompt], tokenizer: Tokenizer, max_new_tokens: int
) -> list[Finding | None]:
    """Returns the answers with more tokens than free decoding generates.

    Args:
        edits: The edits.
        prompts: The prompts by which they are measured.
        tokenizer: The tokenizer that counts.
        max_new_tokens: The number of tokens that free decoding generates.
    """
    answers = {
        (FindingKind.LONG_TARGET, "Targets"): [(edit.id, edit.target_new) for edit in edits],
        (FindingKind.LONG_NEIGHBORHOOD_ANSWER, "Neighborhood answers"): _answers(prompts, "neighborhood"),
        (FindingKind.LONG_PORTABILITY_ANSWER, "Portability answers"): _answers(prompts, "portability"),
    }
    return [
        finding(
            kind,
            f"{what} of more than {max_new_tokens} tokens",
            (
                Case((edit_id,), f"{edit_id}: {answer!r} ({length} tokens)")
                for (edit_id, answer), length in zip(own, _lengths(tokenizer, own), strict=True)
                if length > max_new_tokens
            ),
            len(own),
            f"Free decoding generates {max_new_tokens} tokens, so it never gives them.",
        )
        for (kind, what), own in answers.items()
    ]


def check_context(
    prompts: Sequence[AskedPrompt], tokenizer: Tokenizer, context_length: int
) -> list[Finding | None]:
    """Returns the edits and the further prompts that are longer, with an answer, than a model's context.

    Args:
        prompts: The prompts by which edits are applied and measured.
        tokenizer: The tokenizer that counts.
        context_length: The number of tokens of the context.
    """
    lengths = [(one, _longest(one, tokenizer, context_length)) for one in prompts]
    own = [pair for pair in lengths if pair[0].field == "prompt"]
    further = [pair for pair in lengths if pair[0].field != "prompt"]
    return [
        finding(
            kind,
            f"{what} than the model's context of {context_length:,} tokens",
            (
                Case((one.edit_id,), f"{one.edit_id}, {one.field}: {length:,} tokens")
                for one, length in pairs
                if length > context_length
            ),
            len(pairs),
            consequence,
        )
        for kind, what, pairs, consequence in (
            (
                FindingKind.LONG_EDIT,
                "Edits whose prompt and target are longer",
                own,
                "They can't be applied: every method drops them.",
            ),
            (
                FindingKind.LONG_PROMPT,
                "Prompts of edits that are longer, with their answer,",
                further,
                "They are counted as too long.",
            ),
        )
    ]


def _longest(one: AskedPrompt, tokenizer: Tokenizer, context_length: int) -> int:
    """Returns the number of tokens of a prompt with its longest answer; 0 if its bytes show that it fits."""
    answers = one.answers[:1] if one.field == "prompt" else one.answers  # an edit is its new target
    texts = [continued(one.prompt, answer) for answer in answers] or [one.prompt]
    # A token has a byte or more of the text, which few normalizers lengthen.
    if all(4 * len(text.encode(errors="replace")) + 8 < context_length for text in texts):
        return 0
    return max(len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"])


def _answers(prompts: Iterable[AskedPrompt], field: str) -> list[tuple[str, str]]:
    return [(one.edit_id, one.answers[0]) for one in prompts if one.field == field and one.answers]


def _lengths(tokenizer: Tokenizer, answers: Sequence[tuple[str, str]]) -> list[int]:
    """Returns the number of tokens of each answer after a space."""
    if not answers:
        return []
    encoded = tokenizer([f" {answer.strip()}" for _, answer in answers], add_special_tokens=False)
    return [len(ids) for ids in encoded["input_ids"]]
