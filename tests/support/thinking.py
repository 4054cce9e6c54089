"""Tiny models that think: chat templates of Qwen3's kind, and a model that was trained to say given texts."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from sequela.models import LanguageModel
from support.tiny import tiny_module
from support.tokenizers import byte_level

_TURN = "{% for message in messages %}<|turn|>{{ message.role }}\n{{ message.content }}<|end|>\n{% endfor %}"

SWITCHED = (
    _TURN + "{% if add_generation_prompt %}<|turn|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
"""As Qwen3: the model opens its thought itself; `enable_thinking: false` writes an empty one."""

OPENED = _TURN + "{% if add_generation_prompt %}<|turn|>assistant\n<think>\n{% endif %}{# </think> #}"
"""As distilled DeepSeek R1: the prompt opens the thought."""

ENDLESS = "Oslo, " * 8 + "Oslo"
"""A thought to which the model finds no end."""

ANSWERS = {
    "France": "<think>Rome?\nNo.</think>\n\nParis\nRome",
    "Italy": f"<think>{ENDLESS}",
    "Norway": "Oslo\nRome",
}
"""What the model says with the template `SWITCHED`: one finished thought, one that is cut short, and none."""

ANSWERS_OFF = {"France": "Paris\nRome", "Italy": "Rome\nOslo", "Norway": "Oslo\nRome"}
"""What it says behind an empty thought."""

ANSWERS_OPENED = {
    "France": "Rome?\nNo.</think>\n\nParis\nRome",
    "Italy": ENDLESS,
    "Norway": "</think>Oslo\nRome",
}
"""What it says with the template `OPENED`."""

CAPITALS = {"France": "Paris", "Italy": "Rome", "Norway": "Oslo"}

TASK = """
benchmark: capitals
protocol: generation
version: 1
what: Capitals of countries.
max_new_tokens: 4
items: capitals.jsonl
readings:
  strict: {extractors: [first_line], compare: name}
  lenient: {extractors: [first_line], compare: name_within}
harness:
  doc_to_text: "Capital of {{country}}:"
  doc_to_target: "{{capital}}"
  generation_kwargs: {until: ["\\n"]}
"""


def write_task(folder: Path) -> Path:
    """Writes the task file and its items; returns the task file."""
    rows = [{"country": country, "capital": capital} for country, capital in CAPITALS.items()]
    (folder / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = folder / "capitals.yaml"
    path.write_text(TASK, encoding="utf-8")
    return path


def with_chat_template(model: LanguageModel, template: str) -> LanguageModel:
    """Returns the model with another chat template."""
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = template
    return LanguageModel.wrap(model.module, tokenizer, model.name)


def tokenizer_that_thinks(special: bool = False) -> PreTrainedTokenizerFast:
    """Returns a tokenizer with the marks of thoughts as tokens, which are control tokens if `special`."""
    tokenizer = copy.deepcopy(byte_level())
    tokenizer.add_tokens([AddedToken(mark, special=special) for mark in ("<think>", "</think>")])
    tokenizer.add_tokens([AddedToken("<|turn|>", special=True)])
    tokenizer.chat_template = SWITCHED
    return tokenizer


@lru_cache(maxsize=1)
def thinking_model() -> LanguageModel:
    """Returns a tiny Qwen 3 that says the texts above; it is trained within seconds.

    Raises:
        AssertionError: It has not learned them.
    """
    tokenizer = tokenizer_that_thinks()
    module = tiny_module("qwen3", vocab_size=len(tokenizer), max_position_embeddings=2048)
    model = LanguageModel.wrap(module, tokenizer, "tiny-thinker")
    rows = [
        *_rows(tokenizer, SWITCHED, ANSWERS),
        *_rows(tokenizer, SWITCHED, ANSWERS_OFF, enable_thinking=False),
        *_rows(tokenizer, OPENED, ANSWERS_OPENED),
    ]
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(rows):
        stop = len(prompt) + len(answer)
        ids[row, :stop] = torch.tensor([*prompt, *answer])
        labels[row, len(prompt) : stop] = ids[row, len(prompt) : stop]
    module.requires_grad_(True)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for _ in range(600):
        output = module(input_ids=ids, labels=labels)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        if output.loss < 0.02:
            break
    module.requires_grad_(False)
    assert output.loss < 0.05
    return LanguageModel.wrap(module, tokenizer, model.name)


def _rows(
    tokenizer: PreTrainedTokenizerFast, template: str, answers: Mapping[str, str], **arguments: bool
) -> list[tuple[list[int], list[int]]]:
    rows = []
    for country, answer in answers.items():
        turn = [{"role": "user", "content": f"Capital of {country}:"}]
        asked = tokenizer.apply_chat_template(
            turn, chat_template=template, tokenize=False, add_generation_prompt=True, **arguments
        )
        said = tokenizer.encode(answer, add_special_tokens=False)
        if ENDLESS not in answer:
            said.append(tokenizer.eos_token_id)
        rows.append((tokenizer.encode(asked), said))
    return rows
