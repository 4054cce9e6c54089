"""Twenty small faults in the core, each a plausible mistake: a sign, an index, a stale cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """One line of the source replaced by a wrong one.

    Args:
        name: A short description.
        file: The file, relative to `src/sequela`.
        right: The original text, which occurs in the file exactly once.
        wrong: The replacement.
        tests: The file or folder of tests that should notice it, relative to `tests`; it is run first.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: str

    def plant(self, sources: Path) -> None:
        """Inserts the fault into a copy of the package.

        Args:
            sources: The folder `src/sequela` of the copy.

        Raises:
            ValueError: The right text does not occur in the file exactly once.
        """
        path = sources / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.right) != 1:
            raise ValueError(f"{self.file}: {self.right!r} occurs {text.count(self.right)} times.")
        path.write_text(text.replace(self.right, self.wrong), encoding="utf-8")


FAULTS = (
    Fault(
        "wrong key: ROME divides by the bare key in r-rome",
        "editors/methods/rome/editor.py",
        'division_key = mean_key if settings.variant == "r-rome" else bare_key',
        'division_key = mean_key if settings.variant == "p-rome" else bare_key',
        "examples/test_rome_in_one_file.py",
    ),
    Fault(
        "wrong scale: the rank-one update is not divided by u . k",
        "editors/shared/solve.py",
        "scale = torch.dot(u, key.to(dtype))",
        "scale = torch.linalg.norm(key.to(dtype))",
        "editors/shared/test_solve.py",
    ),
    Fault(
        "wrong index: the ridge solve returns the earliest keys",
        "editors/shared/solve.py",
        "adjusted[:, -n_new:]",
        "adjusted[:, :n_new]",
        "editors/shared/test_solve.py",
    ),
    Fault(
        "lost layer: the residual is spread over one layer too many",
        "editors/shared/multi_layer.py",
        "n_left = len(layers) - number\n",
        "n_left = len(layers) - number + 1\n",
        "benchmarks/test_literal_editing.py",
    ),
    Fault(
        "stale keys: earlier keys are read before the batch is applied",
        "editors/shared/multi_layer.py",
        "with EditedModel(model, delta):\n            read = read_at_subject(",
        "with EditedModel(model, Delta.empty(model.fingerprint)):\n            read = read_at_subject(",
        "editors/test_battery.py",
    ),
    Fault(
        "wrong position: the first {} of a prompt counts as the subject",
        "models/spans.py",
        "head, _, tail = prompt.rpartition(BLANK)",
        "head, _, tail = prompt.partition(BLANK)",
        "models/test_spans.py",
    ),
    Fault(
        "wrong position: a span ends one token early",
        "models/spans.py",
        "return Span(covered[0], covered[-1] + 1)",
        "return Span(covered[0], max(covered[0] + 1, covered[-1]))",
        "models/test_spans.py",
    ),
    Fault(
        "lost square: weight decay divides by the norm",
        "editors/shared/target_optimization.py",
        "/ norms[site][active] ** 2 for site",
        "/ norms[site][active] for site",
        "editors/shared/test_target_optimization.py",
    ),
    Fault(
        "wrong index: edits that ended leave the wrong deltas behind",
        "editors/shared/target_batch.py",
        "essence_before=self.essence_before[edits],",
        "essence_before=self.essence_before[: len(edits)],",
        "editors/shared/test_target_optimization.py",
    ),
    Fault(
        "wrong sign: the divergence is taken the other way round",
        "editors/shared/target_batch.py",
        "kl = (after.exp() * (after - self.essence_before)).sum(-1)",
        "kl = (self.essence_before.exp() * (self.essence_before - after)).sum(-1)",
        "editors/shared/test_target_optimization.py",
    ),
    Fault(
        "early rounding: a delta is rounded before it is added",
        "edited/delta.py",
        "total = dense_copy(update, stored.device).add_(model.family.as_out_in(stored))",
        "total = update.to_dense().to(stored).add_(model.family.as_out_in(stored))",
        "edited",
    ),
    Fault(
        "transposition: a dense difference keeps the stored orientation",
        "edited/delta.py",
        "return Dense(model.family.as_out_in(change).float().contiguous())",
        "return Dense(change.float().contiguous())",
        "edited",
    ),
    Fault(
        "stale cache: hidden states from above the edited block are used",
        "inference/torch/hidden_state_cache.py",
        "if kept_key == key and block <= at_most and states.complete",
        "if kept_key == key and block <= at_most + 1 and states.complete",
        "inference/torch/test_hidden_state_cache.py",
    ),
    Fault(
        "wrong edge: a subtree swallows its next sibling",
        "inference/torch/trie.py",
        "while open_nodes and depths[open_nodes[-1]] >= depth:",
        "while open_nodes and depths[open_nodes[-1]] > depth:",
        "inference/torch",
    ),
    Fault(
        "wrong index: replayed blocks get the key cache of lower layers",
        "models/forward/replay.py",
        "suffix.arguments(kwargs, cache, first + i, block_input.dtype)",
        "suffix.arguments(kwargs, cache, i, block_input.dtype)",
        "models/forward",
    ),
    Fault(
        "wrong position: a continued row counts its tokens without the prefix",
        "inference/torch/decoding.py",
        "positions += range(row.start, len(prompt))",
        "positions += range(len(prompt) - row.start)",
        "inference/torch/test_decoding.py",
    ),
    Fault(
        "wrong divisor: a key covariance is divided by sequences",
        "statistics/second_moments.py",
        "total.div_(corpus.n_tokens).float()",
        "total.div_(len(corpus.sequences)).float()",
        "statistics",
    ),
    Fault(
        "wrong side: the projector keeps the directions that carry knowledge",
        "statistics/null_space.py",
        "return part if self._keeps_null else keys - part",
        "return keys - part if self._keeps_null else part",
        "statistics",
    ),
    Fault(
        "wrong position: GRACE's value is put at the last token",
        "editors/methods/grace/editor.py",
        "replaced[0, self._column] =",
        "replaced[0, -1] =",
        "editors/methods/grace",
    ),
    Fault(
        "tied choices: a tie counts as the first choice",
        "evaluation/lm_eval/choice_scoring.py",
        '"value": float(chosen == record.details["right"]),',
        '"value": float((chosen or 0) == record.details["right"]),',
        "evaluation/lm_eval/test_choice_scoring.py",
    ),
)
