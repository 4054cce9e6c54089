"""Small data sets with the hub's columns, for real tasks of the installed harness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
DataSet = dict[str, Rows]

WORDS = ("harbor", "violin", "meadow", "lantern", "orchard", "thunder", "copper", "sparrow")


def arc(split: str) -> Rows:
    return [
        {
            "id": str(i),
            "question": f"Which of these is a {WORDS[i]} of the {split}?",
            "choices": {"text": [f"a {word}" for word in WORDS[i : i + 4]], "label": list("ABCD")},
            "answerKey": "ABCD"[i % 4],
        }
        for i in range(5)
    ]


def winograd(n: int) -> Rows:
    return [
        {
            "sentence": f"The {word} fell because the _ was {word.upper()}.",
            "option1": f"{word}s",
            "option2": f"old {WORDS[-1 - i]}",
            "answer": "12"[i % 2],
        }
        for i, word in enumerate(WORDS[:n])
    ]


XWINOGRAD = {
    f"xwinograd_{language}": 3 + i for i, language in enumerate(("en", "fr", "jp", "pt", "ru", "zh"))
}
"""The tasks of a group, each with a different number of items."""

DATA_SETS: Mapping[str, DataSet] = {
    "arc_easy": {split: arc(split) for split in ("train", "validation", "test")},
    "hellaswag": {
        split: [
            {
                "activity_label": "Sailing",
                "ctx_a": f"The {word} of the {split} is [title] ready.",
                "ctx_b": "then a man",
                "endings": [
                    f"{verb} the {word}" for verb in ("lifts", "paints carefully", "is", "eats all of")
                ],
                "label": str(i % 4),
            }
            for i, word in enumerate(WORDS[:5])
        ]
        for split in ("train", "validation")
    },
    "winogrande": {"train": winograd(4), "validation": winograd(6)},
    "mrpc": {
        split: [
            {"sentence1": f"A {word} is old.", "sentence2": f"An old {word}, so.", "label": int(i % 3 > 0)}
            for i, word in enumerate(WORDS)
        ]
        for split in ("train", "validation")
    },
    "gsm8k": {
        split: [
            {"question": f"Mo has {i} pens and buys {i + 1}. How many?", "answer": f"So.\n#### {2 * i + 1}"}
            for i in range(n)
        ]
        for split, n in (("train", 7), ("test", 4))
    },
    "lambada_openai": {
        "test": [{"text": f"In the {word} stood an old man with his {word}"} for word in WORDS[:5]]
    },
    "wikitext": {
        split: [
            {"page": f" = {word} = \n The {word} 's 3 @.@ 5 m {word} ( old ) . \n" * 3} for word in WORDS[:n]
        ]
        for split, n in (("train", 1), ("validation", 1), ("test", 4))
    },
    **{task: {"test": winograd(n)} for task, n in XWINOGRAD.items()},
}


def write_rows(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path
