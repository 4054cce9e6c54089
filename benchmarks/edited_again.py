"""The answers of a model when one question is edited three times: to Rome, to Oslo and back to Rome.

    python benchmarks/edited_again.py
    python benchmarks/edited_again.py --methods memit alphaedit --steps Rome Oslo Lima Rome

After each edit it asks the question by greedy decoding and takes the probability of each answer. A method
that writes only a part of a later edit shows it there. Prints a line for each edit, and all of them as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import sys

from sequela.edited import EditedModel
from sequela.editors import Resources, create_editor
from sequela.editors.session import EditSession
from sequela.edits import Edit
from sequela.inference import TorchEngine, generation_request, score_request
from sequela.models import load_model

METHODS = ("memit", "memit-history", "alphaedit", "rome", "grace", "wise")
STEPS = ("Rome", "Oslo", "Rome")
PROMPT, SUBJECT, OLD = "The capital of {} is", "France", "Paris"
MAX_TOKENS = 8


def main() -> None:
    """Edits with each method and prints what the model says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--steps", nargs="+", default=STEPS)
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--subject", default=SUBJECT)
    parser.add_argument("--old", default=OLD)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    edits = [
        Edit(
            id=f"{number}-{target}",
            prompt=arguments.prompt,
            subject=arguments.subject,
            target_new=target,
            target_true=arguments.old,
        )
        for number, target in enumerate(arguments.steps, start=1)
    ]
    answers = list(dict.fromkeys([arguments.old, *arguments.steps]))
    question = edits[0].question
    unedited = EditedModel(model)
    rows = [{"method": "unedited", "edit": "", **asked(unedited, question, answers)}]
    show(rows[-1])
    resources = Resources.for_model(model)
    for name in arguments.methods:
        session = EditSession(model, create_editor(name), resources).with_preset()
        for edit, result in zip(edits, session.run(edits), strict=False):
            (report,) = result.reports
            found = asked(session.edited(result), question, answers)
            rows.append({"method": name, "edit": edit.target_new, **found, "dropped": report.dropped})
            show(rows[-1])
    print(json.dumps(rows))


def asked(edited: EditedModel, question: str, answers: list[str]) -> dict[str, object]:
    """Returns the greedy continuation of a question, and the probability of each answer in percent."""
    engine = TorchEngine()
    (text,) = engine.generate(edited, [generation_request(edited, question, max_new_tokens=MAX_TOKENS)])
    scores = engine.score(edited, [score_request(edited, question, answer) for answer in answers])
    shares = {
        answer: round(100 * math.exp(score.logprob), 2) for answer, score in zip(answers, scores, strict=True)
    }
    return {"says": text.text, "percent": shares}


def show(row: dict[str, object]) -> None:
    """Prints a row for reading, to standard error."""
    print(row, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
