"""The differences between the study of a run and a later version of it, and the results that they concern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from sequela.core.wording import number_of
from sequela.results import EDIT_QUALITY, Manifest
from sequela.studies.grid import method_names, suites_of
from sequela.studies.trajectory_names import of_sample, samples_of


class Reach(Enum):
    """The results that a change concerns."""

    NOTHING = "all results stay"
    CELLS = ""
    """Those of the entries of a list that are new, gone or changed."""
    HEALTH = "all trajectories and the health of the unedited model are measured again"
    TRAJECTORIES = "all trajectories are measured again"
    QUALITY = "all trajectories and edit quality of the unedited model are measured again"
    EVERYTHING = "everything is measured again"


@dataclass(frozen=True)
class Change:
    """A difference between two versions of a study.

    Args:
        sentence: The difference in words, without a full stop.
        reach: The results that it concerns.
    """

    sentence: str
    reach: Reach = Reach.CELLS


_AXES = ("models", "order_seeds", "checkpoints")
"""The keys whose entries are independent: one more or less leaves the results of the others."""

_REACH = MappingProxyType(
    {
        "name": Reach.NOTHING,
        "seed": Reach.TRAJECTORIES,
        "statistics": Reach.TRAJECTORIES,
        "on_bad_edit": Reach.TRAJECTORIES,
        "edit_template": Reach.TRAJECTORIES,
        "edit_template_args": Reach.TRAJECTORIES,
        "alarms": Reach.HEALTH,
        "edit_quality": Reach.QUALITY,
    }
)
"""The results that the other keys concern; those that aren't named here concern everything."""

_WITH_WORDS_OF_THEIR_OWN = (*_AXES, "editors", "suites", "edits", "memory")


def changes_between(earlier: Manifest, current: Manifest) -> list[Change]:
    """Returns each difference between the study of a run and a later version of it.

    Args:
        earlier: The manifest of the run.
        current: That of a run of the study now.
    """
    return [
        *_of_edits(earlier, current),
        *(change for key in _AXES for change in _of_list(key, earlier.config[key], current.config[key])),
        *_of_methods(earlier, current),
        *_of_suites(earlier, current),
        *_of_other_keys(earlier, current),
    ]


def _of_edits(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    """Yields the changes of the edits: another sample of the same source leaves the results of the others."""
    sampled = [samples_of(one) != [None] for one in (earlier, current)]
    if all(sampled):
        yield from _of_samples(earlier, current)
    elif any(sampled):
        said = f"edits: {_shown(earlier.config['edits'])} became {_shown(current.config['edits'])}"
        yield _other(said, is_same=False)
    else:
        yield from _of_first_edits(earlier, current)


def _of_samples(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    hashes = [
        dict(zip(samples_of(one), one.edit_set_hashes.values(), strict=True)) for one in (earlier, current)
    ]
    chosen = [
        {key: of for key, of in one.config["edits"].items() if key != "samples"} for one in (earlier, current)
    ]
    before, after = hashes
    is_same = all(before[one] == after[one] for one in before if one in after)
    if chosen[0] != chosen[1]:
        # Without a common sample, nothing shows that the source is the same.
        is_same = is_same and bool(before.keys() & after.keys())
        said = f"edits: {_shown(chosen[0])} became {_shown(chosen[1])}"
        yield _other(f"{said}, with the same edits" if is_same else said, is_same)
    elif not is_same:
        said = "edits: these are other edits than those of the run"
        yield _other(said, is_same=False)
    yield from _of_list("edits.samples", samples_of(earlier), samples_of(current))


def _of_first_edits(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    before, after = _n_edits(earlier), _n_edits(current)
    if earlier.edit_set_hashes == current.edit_set_hashes:
        if earlier.config["edits"] != current.config["edits"]:
            known = {"source", "count", "file"}
            is_same = not {*earlier.config["edits"], *current.config["edits"]} - known
            said = f"edits: {_shown(earlier.config['edits'])} became {_shown(current.config['edits'])}"
            yield _other(f"{said}, with the same edits" if is_same else said, is_same)
        return
    if earlier.config["edits"] == current.config["edits"] and before != after:
        advice = f"; with `edits: {{count: {before}}}` it stays" if after < before else ""
        said = (
            f"edits: there are {number_of('edit', after)} instead of {before}, on which their order depends"
        )
        yield Change(f"{said}{advice}; {Reach.EVERYTHING.value}", Reach.EVERYTHING)
        return
    yield Change(
        f"edits: these are other edits than those of the run; {Reach.EVERYTHING.value}", Reach.EVERYTHING
    )


def _of_list(key: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Change]:
    """Yields the changes of a list whose entries are independent."""
    yield from (Change(f"{key}: {one} is gone, with its results") for one in before if one not in after)
    yield from (Change(f"{key}: {one} is new") for one in after if one not in before)
    yield from _of_order(key, before, after)


def _of_methods(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    before = dict(zip(method_names(earlier), earlier.config["editors"], strict=True))
    after = dict(zip(method_names(current), current.config["editors"], strict=True))
    renamed = {name for name, one in after.items() if name not in before and one in before.values()}
    for name, one in before.items():
        if name in after and after[name] != one:
            if one in after.values():  # under another name, since its entry needs a longer one now
                continue
            yield Change(
                f"editors: {name} is changed ({_differences(one, after[name])}); it is measured again"
            )
        elif name not in after and one not in after.values():
            yield Change(f"editors: {name} is gone, with its results")
    for name in after:
        if name not in before and name not in renamed:
            yield Change(f"editors: {name} is new")
    yield from _of_order("editors", earlier.config["editors"], current.config["editors"])


def _differences(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Returns the settings of a method that differ."""
    old, new = before.get("settings") or {}, after.get("settings") or {}
    keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    return ", ".join(f"{key}: {_shown(old.get(key))} became {_shown(new.get(key))}" for key in keys)


def _of_suites(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    known = [suites_of(one) for one in (earlier, current)]
    yield from (Change(f"suites: {one} is gone, with its results") for one in known[0] if one not in known[1])
    yield from (Change(f"suites: {one} is new") for one in known[1] if one not in known[0])
    yield from _of_quality(earlier, current)
    before, after = earlier.suite_versions, current.suite_versions
    options = [_options_of_suites(one) for one in (earlier, current)]
    for one in options[1]:
        if one not in before or before[one] == after[one]:
            continue
        if options[0].get(one) == options[1][one]:
            yield Change(
                f"suites: items, prompts or rules of {one} are others than in the run; it is measured again"
            )
        else:
            yield Change(f"suites: the options of {one} are changed; it is measured again")
    of_same_version = [one for one in options[1] if before.get(one) == after[one]]
    for one in of_same_version:
        if options[0].get(one) != options[1][one]:
            yield Change(
                f"suites: the options of {one} are changed, with the same items; its results stay",
                Reach.NOTHING,
            )
    yield from _of_order("suites", earlier.config["suites"], current.config["suites"])


def _options_of_suites(manifest: Manifest) -> dict[str, Any]:
    """Returns the entries of a study's suites by the names of these; a file has the name that is in it."""
    names = [one for one in suites_of(manifest) if one != EDIT_QUALITY]
    return dict(zip(names, manifest.config["suites"], strict=True))


def _of_quality(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    """Yields the change of edit quality, unless its settings are others, which is a change of its own."""
    before, after = earlier.suite_versions, current.suite_versions
    names = [of_sample(EDIT_QUALITY, one) for one in samples_of(current)]
    is_other = any(name in before and before[name] != after[name] for name in names)
    if is_other and earlier.config["edit_quality"] == current.config["edit_quality"]:
        said = "edit quality: its rules or its edits are others than in the run"
        yield Change(f"{said}; {Reach.QUALITY.value}", Reach.QUALITY)


def _of_order(key: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Change]:
    """Yields the change of a list that has the same entries in another order."""
    common = [one for one in before if one in after]
    if common != [one for one in after if one in before]:
        yield Change(f"{key}: they are in another order; {Reach.NOTHING.value}", Reach.NOTHING)


def _of_other_keys(earlier: Manifest, current: Manifest) -> Iterator[Change]:
    for key in dict.fromkeys((*earlier.config, *current.config)):
        before, after = earlier.config.get(key), current.config.get(key)
        if key not in _WITH_WORDS_OF_THEIR_OWN and before != after:
            reach = _REACH.get(key, Reach.EVERYTHING)
            yield Change(f"{key}: {_shown(before)} became {_shown(after)}; {reach.value}", reach)


def _other(said: str, is_same: bool) -> Change:
    reach = Reach.NOTHING if is_same else Reach.EVERYTHING
    return Change(f"{said}; {reach.value}", reach)


def _n_edits(manifest: Manifest) -> int:
    chosen = manifest.config["edits"].get("count")
    return int(chosen or manifest.config["checkpoints"][-1])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
