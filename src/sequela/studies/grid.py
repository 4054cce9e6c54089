"""The grid of a run: its evaluations by model, method, sample and order of edits, checkpoint and suite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sequela.core.hashing import hash_json
from sequela.core.wording import number_of
from sequela.evaluation.monitor_rules import due_edit_counts
from sequela.results import ALARMS, EDIT_QUALITY, Manifest
from sequela.studies.trajectory_names import of_sample, samples_of

UNEDITED_MODEL = "unedited model"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a study.

    Args:
        model: The model's name in the study.
        method: The method, as `method_names` has it; `unedited model` for none.
        sample: The sample of edits; None if the study has none, and for what belongs to none.
        order_seed: The shuffle seed; None for the unedited model.
        n_edits: The checkpoint.
        suite: The suite.
        identity: A hash of the method with all its settings; empty for the unedited model. Two studies may
            have methods of the same name that aren't the same.
        method_name: The method as studies name it, with its regularizers.
    """

    model: str
    method: str
    sample: int | None
    order_seed: int | None
    n_edits: int
    suite: str
    identity: str = field(default="", compare=False)
    method_name: str = field(default="", compare=False)

    @property
    def version_name(self) -> str:
        """The name of the suite among the versions of a study; edit quality has one for each sample."""
        return of_sample(self.suite, self.sample) if self.suite == EDIT_QUALITY else self.suite

    @property
    def is_edited(self) -> bool:
        """True for a checkpoint of a trajectory."""
        return self.order_seed is not None


def method_names(manifest: Manifest) -> list[str]:
    """Returns the names of a study's methods for messages, which are different for each entry.

    A method has the size of its batches and, if that doesn't distinguish it, the settings that were given.
    """
    entries = manifest.config.get("editors") or []
    given = manifest.given.get("editors") or entries
    names = [str(one["name"]) for one in entries]
    sized = [
        f"{name} in batches of {one['batch_size']}" if one.get("batch_size", 1) > 1 else name
        for name, one in zip(names, entries, strict=True)
    ]
    named = []
    for number, name in enumerate(sized):
        settings = given[number].get("settings") if number < len(given) else None
        shown = ", ".join(f"{key}: {value}" for key, value in (settings or {}).items())
        twice = sized.count(name) > 1
        named.append(f"{name} ({shown or f'entry {number + 1}'})" if twice else name)
    return named


def evaluations(manifest: Manifest) -> Iterator[Evaluation]:
    """Yields the evaluations of the study of a run, in its order."""
    config, samples = manifest.config, samples_of(manifest)
    suites = suites_of(manifest)
    alarms = config.get("alarms") or {}
    every = int(alarms.get("every") or 0)
    checkpoints = [n for n in config["checkpoints"] if n]
    for model in config["models"]:
        for suite in (*suites, *([ALARMS] if every else [])):
            for sample in samples if suite == EDIT_QUALITY else [None]:
                yield Evaluation(model, UNEDITED_MODEL, sample, None, 0, suite)
        for name, entry in zip(method_names(manifest), config["editors"], strict=True):
            due = health_due(checkpoints[-1], int(entry.get("batch_size", 1)), every)
            for sample, seed in product(samples, config["order_seeds"]):
                for n_edits in sorted({*checkpoints, *due}):
                    here = [
                        *(suites if n_edits in checkpoints else ()),
                        *([ALARMS] if n_edits in due else ()),
                    ]
                    for suite in here:
                        of = hash_json(entry), str(entry["name"])
                        yield Evaluation(model, name, sample, seed, n_edits, suite, *of)


def suites_of(manifest: Manifest) -> list[str]:
    """Returns the names of a study's suites, and of edit quality."""
    of_samples = {of_sample(EDIT_QUALITY, sample) for sample in samples_of(manifest)}
    return list(dict.fromkeys(EDIT_QUALITY if one in of_samples else one for one in manifest.suite_versions))


def health_due(n_edits: int, batch_size: int, every: int) -> list[int]:
    """Returns the numbers of edits after which health is measured."""
    counts = (min(n + batch_size, n_edits) for n in range(0, n_edits, batch_size))
    return due_edit_counts(counts, every)


def describe(chosen: Collection[Evaluation]) -> list[str]:
    """Returns evaluations in words, in few lines: those of the same suites are joined."""
    suites: dict[tuple[str, str, int | None, int | None], dict[int, list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for one in chosen:
        suites[one.model, one.method, one.sample, one.order_seed][one.n_edits].append(one.suite)
    by_seed: dict[tuple[str, str, int | None], dict[int | None, tuple[str, ...]]] = defaultdict(dict)
    for (model, method, sample, seed), at in suites.items():
        by_seed[model, method, sample][seed] = tuple(_blocks(at))
    by_sample: dict[tuple[str, str], dict[int | None, tuple[str, ...]]] = defaultdict(dict)
    for (model, method, sample), blocks in by_seed.items():
        by_sample[model, method][sample] = tuple(
            f"{_numbers('shuffle seed', seeds)}{block}" for seeds, lines in _joined(blocks) for block in lines
        )
    by_method: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for (model, method), blocks in by_sample.items():
        by_method[model][method] = tuple(
            f"{_numbers('sample', samples)}{block}" for samples, lines in _joined(blocks) for block in lines
        )
    by_model = {
        model: tuple(f"{_and(methods)}{line}" for methods, lines in _joined(of) for line in lines)
        for model, of in by_method.items()
    }
    return [f"{_and(models)}: {line}" for models, lines in _joined(by_model) for line in lines]


def _blocks(at: Mapping[int, Sequence[str]]) -> Iterator[str]:
    """Yields checkpoints with the same suites together."""
    for counts, suites in _joined({n: tuple(suites) for n, suites in at.items()}):
        after = "" if tuple(counts) == (0,) else f", after {number_of('edit', *counts)}"
        yield f"{after}: {', '.join(suites)}"


def _joined(table: Mapping[Any, tuple[str, ...]]) -> list[tuple[list[Any], tuple[str, ...]]]:
    """Returns the keys that have the same value together, with that value."""
    keys: dict[tuple[str, ...], list[Any]] = {}
    for key, value in table.items():
        keys.setdefault(value, []).append(key)
    return [(together, value) for value, together in keys.items()]


def _numbers(what: str, numbers: Sequence[int | None]) -> str:
    known = [str(one) for one in numbers if one is not None]
    return f", {what}{'s' if len(known) > 1 else ''} {', '.join(known)}" if known else ""


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
