"""Measures the built-in suite on an intact model, without the prompts, and on damaged models.

    python benchmarks/builtin_suite.py [MODEL]

Prints the table of docs/reference/builtin-suite.md.
"""

from __future__ import annotations

import sys

import torch

from sequela.edited import EditedModel
from sequela.evaluation.multiple_choice import accuracy_result, score_choices, score_item
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.evaluation.suites.perplexity import HealthSuite
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.models.loading import load_model
from sequela.results import TaskResult

NEUTRAL_PROMPT = "The answer is"
DAMAGE = (1.0, 4.0)
"""Standard deviation of the noise, in units of the standard deviation of the weight it is added to."""


def main() -> None:
    base = load_model(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct")
    suite, engine = BuiltinSuite(), TorchEngine()
    print(
        f"items {suite.version}, torch {torch.__version__}, {torch.get_num_threads()} threads, {base.dtype}"
    )
    columns = {
        "intact": suite.evaluate(EditedModel(base), engine),
        "no prompt": reworded(suite, base, lambda prompt: NEUTRAL_PROMPT),
        "last 2 words": reworded(suite, base, lambda prompt: " ".join(prompt.split()[-2:])),
    }
    perplexities = {"intact": HealthSuite().evaluate(EditedModel(base), engine)[0]}
    print("intact and reworded: done", file=sys.stderr)
    for strength in DAMAGE:
        column = f"noise {strength:g}"
        with Damage(base, strength):
            columns[column] = suite.evaluate(EditedModel(base), engine)
            perplexities[column] = HealthSuite().evaluate(EditedModel(base), engine)[0]
        print(f"{column}: done", file=sys.stderr)
    print("| category | items | chance |" + "".join(f" {name} |" for name in columns))
    for row, description in enumerate(suite.describe()):
        cells = "".join(f" {format_result(column[row])} |" for column in columns.values())
        print(f"| {description.name} | {description.items} | {description.chance:.2f} |{cells}")
    for name, result in perplexities.items():
        print(f"perplexity, {name}: {format_result(result, 1)} over {result.n} windows {result.note}")


def reworded(suite, base, rewrite) -> list[TaskResult]:
    """Runs the suite with other prompts and the same choices."""
    results = []
    for category, items in suite.items.items():
        changed = [item.model_copy(update={"prompt": rewrite(item.prompt)}) for item in items]
        scores = score_choices(EditedModel(base), TorchEngine(), changed)
        records = [score_item(suite.name, category, item, s) for item, s in zip(items, scores, strict=True)]
        results.append(accuracy_result(records))
    return results


class Damage:
    """Noise on the MLP output projections of three middle layers, removed at the end."""

    def __init__(self, base: LanguageModel, strength: float) -> None:
        middle = base.n_layers // 2
        self.weights = [base.mlp_out_weight(layer) for layer in range(middle - 1, middle + 2)]
        self.before = [weight.detach().clone() for weight in self.weights]
        self.strength = strength

    def __enter__(self) -> None:
        source = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.weights:
                noise = torch.randn(weight.shape, generator=source).to(weight)
                weight.add_(noise * weight.std() * self.strength)

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            for weight, before in zip(self.weights, self.before, strict=True):
                weight.copy_(before)


def format_result(result: TaskResult, digits: int = 3) -> str:
    if result.value is None:
        return "none"
    error = "?" if result.stderr is None else f"{result.stderr:.{digits}f}"
    return f"{result.value:.{digits}f} ± {error}"


if __name__ == "__main__":
    main()
