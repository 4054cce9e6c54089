from __future__ import annotations

import re
from pathlib import Path

from sequela.analysis import validity
from sequela.analysis.rules import RULES


def test_every_rule_has_words() -> None:
    code = Path(validity.__file__).read_text(encoding="utf-8")
    assert set(RULES) == set(re.findall(r'"(D\d+)"', code))
