"""Generates answers of a model in three states, to be labeled by hand.

    SEQUELA_DATA=<folder> python benchmarks/answers_to_label.py --output-folder <folder>

The states are the unedited model, the model after twenty edits with ROME, and the model after fifty
edits with ROME as in the paper's runs (mixed keys, no covariance), which collapses it. Each answers the
first items of the five benchmarks with generated answers, without and within its chat template. Writes one
file per state, without what any reader found in the texts. `tests/evaluation/lm_eval/labeled_answers` has
the labeled answers, and `reader_errors.py` computes how often the readers are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sequela.api import TEMPLATES, Model
from sequela.edited import EditedModel
from sequela.edits import load_edits
from sequela.evaluation.lm_eval.aggregate import holds_answer
from support.program import Log, begin, end, load, options, run

SUITES: tuple[dict[str, Any], ...] = (
    {
        "name": "mmlu",
        "protocols": ["generation"],
        "subjects": [
            "anatomy",
            "astronomy",
            "college_biology",
            "computer_security",
            "econometrics",
            "elementary_mathematics",
            "global_facts",
            "high_school_geography",
            "international_law",
            "marketing",
            "nutrition",
            "philosophy",
        ],
        "limit": 5,
        "max_new_tokens": 32,
    },
    {"name": "commonsenseqa", "protocols": ["generation"], "limit": 60, "max_new_tokens": 32},
    {"name": "triviaqa", "limit": 30},
    {"name": "gsm8k", "limit": 25},
    {"name": "bbh", "limit": 1, "max_new_tokens": 256},
)
STATES = ("unedited", "edited", "collapsed")
SENTENCE = "The baker opened the shop at six, and by seven all of the bread was sold."


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--output-folder", type=Path, required=True, help="the folder of the files to write")
    parser.add_argument("--states", nargs="+", choices=STATES, default=STATES)
    given = parser.parse_args()
    begin(given)
    log = Log()
    given.output_folder.mkdir(parents=True, exist_ok=True)
    model = Model(EditedModel(load(given, log)))
    suites = [{**one, "limit": 1} for one in SUITES[1:4]] if given.quick else SUITES
    figures: dict[str, Any] = {}
    for state in given.states:
        with _in_state(model, state, 2 if given.quick else None, log) as current:
            log.say(f"{state}: perplexity {current.perplexity(SENTENCE).value:.1f} on one sentence")
            lines = [
                {"state": state, "template": template, **answer}
                for template in TEMPLATES
                for answer in _answers(current, suites, template)
            ]
        path = given.output_folder / f"{state}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        figures[f"n_{state}"] = len(lines)
        log.say(f"{path}: {len(lines)} answers")
    given.output_folder, given.output = None, None
    given.quick = True  # the answers are the result; there are no figures to store
    end("answers_to_label", given, figures, {})


@contextmanager
def _in_state(model: Model, state: str, n_edits: int | None, log: Log) -> Iterator[Model]:
    if state == "unedited":
        yield model
        return
    settings, count = (
        ({}, 20) if state == "edited" else ({"variant": "original", "mom2_adjustment": False}, 50)
    )
    edits = load_edits("counterfact")[: n_edits or count]
    with model.edited("rome", edits, settings=settings, statistics="wikitext2", progress=log) as edited:
        yield edited


def _answers(model: Model, suites: Sequence[dict[str, Any]], template: str) -> Iterator[dict[str, str]]:
    for suite in suites:
        seen = set()
        for result in model.evaluate([suite], template=template):
            for item in result.items:
                if holds_answer(item) and (item.task, item.item) not in seen:
                    seen.add((item.task, item.item))
                    yield {
                        "benchmark": suite["name"],
                        "task": item.task,
                        "item": item.item,
                        "text": item.answer,
                    }


if __name__ == "__main__":
    run(main)
