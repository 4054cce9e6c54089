"""The origin of the parts that a study names, as its run records it.

Plug-ins among them are checked when the run is used again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sequela.core.errors import BadInputError
from sequela.core.registry import SEQUELA, Origin, Registry
from sequela.editors.catalog import JOIN
from sequela.editors.registry import METHOD_REGISTRY, REGULARIZER_REGISTRY
from sequela.edits.registry import SOURCE_REGISTRY
from sequela.evaluation.edit_quality.plugin_metrics import PROBE_REGISTRY
from sequela.evaluation.lm_eval.catalog import BENCHMARK_REGISTRY
from sequela.evaluation.registry import split_name
from sequela.evaluation.suites.entries import HARNESS, SUITE_REGISTRY
from sequela.inference.registry import ENGINE_REGISTRY
from sequela.models.families import FAMILY_REGISTRY
from sequela.models.family import Family
from sequela.results import Component, Manifest, Plugin, read_manifest
from sequela.results.environment import distribution_version
from sequela.results.manifest import MANIFEST_NAME
from sequela.studies.study import Study

REGISTRIES: tuple[Registry[Any], ...] = (
    METHOD_REGISTRY,
    REGULARIZER_REGISTRY,
    SUITE_REGISTRY,
    BENCHMARK_REGISTRY,
    PROBE_REGISTRY,
    SOURCE_REGISTRY,
    FAMILY_REGISTRY,
    ENGINE_REGISTRY,
)
"""The registries of all kinds of plug-ins."""

SCORING_KINDS = (PROBE_REGISTRY.kind, BENCHMARK_REGISTRY.kind)
"""The kinds of plug-ins that score stored answers."""


def components_of(study: Study) -> tuple[Component, ...]:
    """Returns everything that a study names, with its package; model families are known after loading."""
    return tuple(dict.fromkeys(_component(registry, name) for registry, name in _named(study)))


def family_component(family: Family) -> Component:
    """Returns a model family with its package."""
    return _component(FAMILY_REGISTRY, family.name)


def plugins_of(study: Study) -> tuple[Plugin, ...]:
    """Returns the plug-ins that a study names, except model families, which are known after loading."""
    return tuple(
        dict.fromkeys(plugin for registry, name in _named(study) for plugin in _plugin(registry, name))
    )


def family_plugin(family: Family) -> tuple[Plugin, ...]:
    """Returns the plug-in that provides a model family; empty for a built-in family."""
    return tuple(_plugin(FAMILY_REGISTRY, family.name))


def check_plugins(
    manifest: Manifest, kinds: Collection[str] | None = None, same_version: bool = True
) -> None:
    """Checks that the plug-ins of a run are installed as they were during the run.

    Args:
        manifest: The run's manifest.
        kinds: The kinds of plug-ins that are needed; None for all.
        same_version: Whether the versions of the packages must match those of the run.

    Raises:
        BadInputError: A package is not installed, or has another version.
    """
    registries = {registry.kind: registry for registry in REGISTRIES}
    for plugin in manifest.plugins:
        if kinds is not None and plugin.kind not in kinds:
            continue
        registry = registries[plugin.kind]
        hint = f"pip install '{plugin.distribution}=={plugin.version}'"
        package = f"{plugin.distribution} {plugin.version}"
        used = f"The run used the {registry.noun} {plugin.name!r} of the package {package}"
        if plugin.name not in registry.names():
            raise BadInputError(f"{used}, which is not installed.", hint=hint)
        origin = registry.origin(plugin.name)
        if same_version and (origin.distribution, origin.version) != (plugin.distribution, plugin.version):
            raise BadInputError(f"{used}; the installed one is from {origin}.", hint=hint)


def changed_plugins(manifest: Manifest, named: Collection[Plugin]) -> tuple[Plugin, ...]:
    """Returns the plug-ins of a run that are installed in another version now.

    Args:
        manifest: The run's manifest.
        named: The plug-ins that the study names now; of model families, all that are installed count.
    """
    now = {(one.kind, one.name): one for one in named}
    changed = []
    for plugin in manifest.plugins:
        current = now.get((plugin.kind, plugin.name))
        if plugin.kind == FAMILY_REGISTRY.kind:
            current = next(iter(_plugin(FAMILY_REGISTRY, plugin.name)), None)
        if current is not None and current != plugin:
            changed.append(plugin)
    return tuple(changed)


def check_plugins_of_run(folder: Path) -> None:
    """Checks, as `check_plugins` does, the plug-ins of the run in a folder, if there is one.

    Raises:
        BadInputError: A package is not installed, or has another version.
        SequelaError: The manifest can't be read.
    """
    if (folder / MANIFEST_NAME).is_file():
        check_plugins(read_manifest(folder))


def _named(study: Study) -> Iterator[tuple[Registry[Any], str]]:
    for editor in study.editors:
        method, *regularizers = editor.name.split(JOIN)
        yield METHOD_REGISTRY, method
        yield from ((REGULARIZER_REGISTRY, name) for name in regularizers)
    for suite in study.suites:
        own, _ = split_name(suite.name)
        yield SUITE_REGISTRY if own in SUITE_REGISTRY.names() else BENCHMARK_REGISTRY, suite.name
    yield SOURCE_REGISTRY, study.edits.source
    yield ENGINE_REGISTRY, study.engine
    yield from ((PROBE_REGISTRY, name) for name in study.edit_quality.metrics)


def _component(registry: Registry[Any], name: str) -> Component:
    """Returns a name with its origin; a name that no registry has is that of a file."""
    known = split_name(name)[0] if registry is SUITE_REGISTRY else name
    origin = registry.origin(known) if known in registry.names() else Origin("")
    if registry is SUITE_REGISTRY and known == HARNESS:  # its tasks come from that package
        origin = Origin(HARNESS)
    version = origin.version or distribution_version(origin.distribution) if origin.distribution else ""
    return Component(kind=registry.kind, name=name, distribution=origin.distribution, version=version or "")


def _plugin(registry: Registry[Any], name: str) -> Iterator[Plugin]:
    """Yields the plug-in of a name; nothing for the name of a file or of something built in."""
    if name in registry.names() and (origin := registry.origin(name)) != SEQUELA:
        yield Plugin(kind=registry.kind, name=name, distribution=origin.distribution, version=origin.version)
