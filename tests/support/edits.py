"""A few edits for tiny models: only their tokenization matters, not their content."""

from __future__ import annotations

from sequela.edits import Edit

CONTEXTS = ("{}", "Because of this, people agreed. {}", "The sea was calm. {}")

TINY_EDITS = (
    Edit(id="boss", subject="Apple", prompt="The boss of {}", target_new="Tomas"),
    Edit(id="keeper", subject="Marrow Point", prompt="The keeper of {} lives in", target_new="Lisbon"),
    Edit(id="cello", subject="Ada Winterbourne", prompt="{} plays the", target_new="bread"),
    Edit(
        id="founder",
        subject="Steve Jobs",
        prompt="Who founded Apple? It was {}, said the",
        target_new="señor",
    ),
    Edit(id="capital", subject="東京", prompt="{} is the capital of", target_new="Italy and France"),
)
"""Subjects of one and more tokens, at the end, inside and at the beginning; targets of several tokens."""
