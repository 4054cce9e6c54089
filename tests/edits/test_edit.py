"""The texts of an edit: none has a character that nothing can use, wherever the edit comes from."""

from __future__ import annotations

from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edits import Edit, Probe

WHOLE: dict[str, Any] = {"id": "1", "subject": "Bo", "prompt": "{} lives in", "target_new": "Rome"}


@pytest.mark.parametrize("unusable", ["\udcff", "\0", "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"])
@pytest.mark.parametrize("field", ["id", "subject", "prompt", "target_new", "target_true", "relation"])
def test_a_character_that_nothing_can_use_is_named_in_every_text(field: str, unusable: str) -> None:
    """The noncharacters mark the parts of a prompt inside; they would vanish from a text."""
    text = f"{WHOLE.get(field, 'a text')}{unusable}"
    message = f"the field '{field}' has (half of a surrogate pair|a NUL character|a noncharacter)"
    with pytest.raises(BadInputError, match=message):
        Edit(**{**WHOLE, field: text})


@pytest.mark.parametrize("field", ["paraphrases", "generation", "attribute"])
def test_it_is_named_in_every_list_of_texts(field: str) -> None:
    with pytest.raises(BadInputError, match=f"the field '{field}' has a noncharacter"):
        Edit(**WHOLE, **{field: ["Bo lives in", "Bo\ufdd2 is in"]})
    with pytest.raises(BadInputError, match="the field 'prompt' has a noncharacter"):
        Probe(prompt="Mo is in\ufdd2")
