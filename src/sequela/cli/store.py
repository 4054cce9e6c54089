"""`sequela store list`, `verify` and `prune`: the objects that studies share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError
from sequela.core.progress import tracked
from sequela.core.wording import number_of, size_in_words

if TYPE_CHECKING:
    from sequela.store import Entry, Kind, Removal, Verification

DAMAGED = 1
"""The exit status of `verify` if something is damaged."""

_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_ABOUT_WIDTH = 60
"""The number of characters of an object's description in a table; `--json` has all of it."""


def read_age(text: str) -> timedelta:
    """Returns the age that a text such as `30d` or `12h` states.

    Raises:
        BadInputError: It states none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)", text.strip())
    try:
        if found is not None:
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        pass
    raise BadInputError(
        f"Invalid age {text!r}.", hint="Write it in minutes, hours, days or weeks: 90min, 12h, 30d, 2w."
    )


def _kind(text: str) -> Kind:
    from sequela.store.address import kind_named

    return kind_named(text)


app = typer.Typer(
    help="List, verify and prune the objects that studies share: statistics, checkpoints, evaluations.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Location = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="LOCATION",
        help="The store: a folder, or a URL such as s3://bucket/store (default: SEQUELA_STORE, or the folder "
        "`store` in the cache).",
    ),
]
_Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="Only this kind: statistics, network, baseline, checkpoint or evaluation. Can be repeated.",
    ),
]


@app.command("list")
def list_objects(store: _Location = None, kind: _Kinds = None, as_json: options.Json = False) -> None:
    """List the objects of the store, with their sizes and what they were made from."""
    from sequela.store import open_store

    kinds = _kinds(kind)
    opened = open_store(store)
    entries = list(opened.entries(kinds))
    if as_json:
        print_json([_entry_value(entry) for entry in entries])
        return
    if entries:
        print_table(
            f"Objects of {opened.location}",
            ["kind", "key", "size", "files", "made", "from"],
            (_entry_row(entry) for entry in entries),
        )
    total = sum(entry.size for entry in entries)
    print_line(f"{number_of('object', len(entries))}, {size_in_words(total)}, in {opened.location}")


@app.command()
def verify(
    store: _Location = None,
    kind: _Kinds = None,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Move damaged objects aside, so that they are computed again.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Read every file of the store and compare it with its SHA-256; exit with status 1 if one is damaged."""
    from sequela.store import open_store

    kinds = _kinds(kind)
    opened = open_store(store)
    n_objects = sum(1 for _ in opened.entries(kinds))
    with shown_progress(standard_error()) as progress:
        results = list(
            tracked(opened.verify(kinds, set_aside), progress, f"verifying {opened.location}", n_objects)
        )
    damaged = [one for one in results if one.damages]
    if as_json:
        print_json([_verification_value(one) for one in results])
    else:
        for one in damaged:
            _print_damages(one)
        for one in results:
            if one.newer:
                print_line(f"not verified: {one.newer}")
        size = size_in_words(sum(one.size for one in results))
        print_line(f"{number_of('object', len(results))} verified ({size}), {len(damaged)} damaged")
        if damaged and not set_aside:
            print_line("A run that needs a damaged object makes it again; so does --set-aside at once.")
    if damaged:
        raise typer.Exit(DAMAGED)


@app.command()
def prune(
    store: _Location = None,
    older_than: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_age,
            metavar="AGE",
            help="Remove only what was neither made nor used by a registered run for so long: 90min, 12h, "
            "30d, 2w.",
        ),
    ] = None,
    unused: Annotated[
        bool, typer.Option("--unused", help="Remove only what no registered run uses.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Remove objects that are old (--older-than), that no run uses (--unused), or both.

    What interrupted writes left and damaged objects that were set aside are removed too.

    Whatever is removed is computed again when a run needs it.
    """
    from sequela.store import open_store

    if older_than is None and not unused:
        raise BadInputError(
            "It isn't stated what to remove.",
            hint="Add --older-than 30d, or --unused, or both; --dry-run shows what would be removed.",
        )
    opened = open_store(store)
    removed: list[Removal] = []
    try:
        for one in opened.prune(older_than, unused, dry_run):
            removed.append(one)
            if not as_json:
                print_line(f"{'would remove' if dry_run else 'removed'} {one.name}: {_reason(one)}")
    finally:  # also after Ctrl-C: what is removed is removed
        if as_json:
            print_json(_pruned_value(removed, dry_run))
        else:
            freed = size_in_words(sum(one.size for one in removed))
            n_objects = number_of("object", sum(one.reason in ("old", "unused") for one in removed))
            print_line(
                f"{n_objects} would be removed, {freed} freed"
                if dry_run
                else f"{n_objects} removed, {freed} freed"
            )


def _kinds(names: Iterable[str] | None) -> tuple[Kind, ...]:
    from sequela.store.address import Kind

    return tuple(map(_kind, names)) if names else tuple(Kind)


def _entry_value(entry: Entry) -> dict[str, Any]:
    described = entry.description
    return {
        "kind": entry.address.kind.value,
        "key": entry.address.key,
        "problem": entry.problem,
        "size": entry.size,
        **(
            {} if described is None else described.model_dump(mode="json", exclude={"kind", "key", "version"})
        ),
    }


def _entry_row(entry: Entry) -> list[object]:
    described = entry.description
    if described is None:
        return [entry.address.kind, entry.address.key, "?", "?", "?", entry.problem]
    made = described.created.strftime("%Y-%m-%d %H:%M")
    about = ", ".join(f"{name}: {value}" for name, value in described.about.items())
    about = about if len(about) <= _ABOUT_WIDTH else f"{about[:_ABOUT_WIDTH]}…"
    address = entry.address
    return [address.kind, address.key, size_in_words(entry.size), len(described.files), made, about]


def _print_damages(one: Verification) -> None:
    for damage in one.damages:
        print_line(f"damaged: {one.address}: {damage}")
    if one.aside:
        print_line(f"  set aside to {one.aside}")


def _verification_value(one: Verification) -> dict[str, Any]:
    return {
        "kind": one.address.kind.value,
        "key": one.address.key,
        "size": one.size,
        "damaged": [
            {"file": damage.file, "expected": damage.expected, "found": damage.found}
            for damage in one.damages
        ],
        "set_aside": one.aside,
        "not_verified": one.newer,
    }


def _reason(one: Removal) -> str:
    size = size_in_words(one.size)
    words = {
        "old": f"{size}, not needed for so long",
        "unused": f"{size}, used by no run",
        "remnant": f"{size}, left by an interrupted write or a damaged object",
        "ended run": "its folder is gone",
    }
    return words[one.reason]


def _pruned_value(removed: list[Removal], dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "freed": sum(one.size for one in removed),
        "removed": [{"name": one.name, "size": one.size, "reason": one.reason} for one in removed],
    }
