"""Thinking: what a reasoning model writes before its answer, which is never read as an answer.

A thought stands between two marks, such as `<think>` and `</think>`. A chat template may open the thought in
the prompt, close it there (thinking is switched off), or leave it to the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(r"[<\[◁]\|?(?P<name>[^\s<>\[\]◁▷{}'\"|]{1,40})\|?[>\]▷]")
_OF_THOUGHTS = re.compile(r"think|thought|reason", re.IGNORECASE)
_ENDS = re.compile(r"^/|(?<![a-z])end(?![a-z])", re.IGNORECASE)

_BEGINNINGS = (("/", ""), ("END", "START"), ("END", "BEGIN"), ("end", "start"), ("end", "begin"))
"""How the mark at the beginning of a thought follows from the one at its end."""

_CHANNELS = ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>")
"""The marks of models that write thought and answer to two channels."""


@dataclass(frozen=True)
class Thinking:
    """The marks of a model's thoughts, and the state in which a prompt leaves them.

    Args:
        start: The mark that begins a thought; empty if it isn't known.
        end: The mark that ends it.
        opened: Whether the prompt leaves a thought open.
        max_tokens: The maximum number of tokens of thinking, in addition to those of the answer; 0 if the
            prompt closes the thought.
        control_ids: The control tokens in the marks, which are not removed from a text before the marks are
            searched for.
    """

    start: str
    end: str
    opened: bool
    max_tokens: int
    control_ids: frozenset[int] = frozenset()

    def answer_start(self, text: str) -> int | None:
        """Returns where the answer begins in a text, after white space; None if a thought isn't finished.

        Everything up to the last mark is thinking. A text without thinking is an answer from its beginning.
        """
        begun, ended = self._last(text)
        if begun > ended or (ended < 0 and self.opened):
            return None
        if ended < 0:
            return 0
        at = ended + len(self.end)
        return at + len(text[at:]) - len(text[at:].lstrip())

    def is_open(self, tail: str, before: bool) -> bool:
        """Returns whether a thought is open after the last tokens of a text.

        Args:
            tail: The text of the last tokens.
            before: Whether one was open before them.
        """
        begun, ended = self._last(tail)
        return before if begun == ended else begun > ended

    def may_begin(self, text: str) -> bool:
        """Returns whether a text is the beginning of the mark that begins a thought."""
        written = text.lstrip()
        return bool(written) and written != self.start and self.start.startswith(written)

    @property
    def longest_mark(self) -> int:
        """The length of the longer mark in characters."""
        return max(len(self.start), len(self.end))

    def _last(self, text: str) -> tuple[int, int]:
        """Returns the positions of the last mark of each kind; -1 without one."""
        return text.rfind(self.start) if self.start else -1, text.rfind(self.end)


def marks_in(template: str) -> tuple[str, str] | None:
    """Returns the marks of thoughts that the source of a chat template mentions; None without any."""
    if all(mark in template for mark in _CHANNELS):
        return _CHANNELS
    for tag in _TAG.finditer(template):
        if _OF_THOUGHTS.search(tag["name"]) and _ENDS.search(tag["name"].replace("_", " ")):
            return start_of(tag[0], template), tag[0]
    return None


def start_of(end: str, template: str) -> str:
    """Returns the mark that begins a thought; empty if it isn't known.

    Args:
        end: The mark that ends it.
        template: The source of a chat template, which may mention both.
    """
    if end == _CHANNELS[1]:
        return _CHANNELS[0]
    candidates = [end.replace(old, new, 1) for old, new in _BEGINNINGS if old in end]
    mentioned = [one for one in candidates if one in template]
    by_slash = candidates[:1] if "/" in end else []
    return next(iter((*mentioned, *by_slash)), "")


def left_open(asked: str, start: str, end: str) -> bool:
    """Returns whether the end of a prompt leaves a thought open.

    With an unknown beginning, a model is taken to think from the beginning of its text on, unless the prompt
    closes the thought.

    Args:
        asked: The part of the prompt that the chat template puts behind the user's text.
        start: The mark that begins a thought.
        end: The mark that ends it.
    """
    ended = asked.rfind(end)
    return asked.rfind(start) > ended if start else ended < 0


def closing(asked: str, start: str, end: str) -> str:
    """Returns the text that closes an empty thought at the end of a prompt that leaves it open."""
    if not start:
        return end
    line_break = "" if asked.endswith("\n") else "\n"
    return f"{line_break}\n{end}\n\n"
