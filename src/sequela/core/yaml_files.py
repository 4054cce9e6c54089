"""Reading of YAML: settings, study files, task files and presets.

PyYAML's safe loader runs no code, but a short text can keep it busy for hours or fill the memory: aliases
that multiply or contain themselves, texts that nest deep. This module reads a document in two steps. The
first builds its nodes, which an alias does not copy; the second makes values of them if they are few.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sequela.core.errors import BadInputError
from sequela.core.plain_values import MAX_DEPTH, located, problem_of
from sequela.core.text_files import read_text
from sequela.core.visible_text import shortened
from sequela.core.wording import key_of

MAX_YAML = 2**18
"""The size, in characters, of a YAML text. Settings are shorter; longer lists belong in data files."""

MAX_NODES = 100_000
"""The number of values in a document, with every alias written out."""

MAX_BITS = 63
"""The size of a whole number without its sign; no setting or seed is longer."""

Location = tuple[str | int, ...]

_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("binary", "omap", "pairs", "set"))
"""Tags for values that no file of Sequela has a place for."""


@dataclass(frozen=True)
class YamlDocument:
    """A YAML document.

    Args:
        content: Its value: dicts, lists, texts, numbers, booleans and None.
        lines: The line, from 1, of every key and list item, by location.
    """

    content: Any
    lines: dict[Location, int]


class YamlTagError(BadInputError):
    """A tag that names code, or a kind of value that the files have no place for.

    Args:
        tag: The tag.
        line: The line, from 1.
        where: The file, for the message.
    """

    def __init__(self, tag: str, line: int, where: str) -> None:
        super().__init__(f"{where}, line {line}: the tag {tag} is not allowed.")
        self.tag, self.line = tag, line


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader with dates as texts: no field of a file is a date, and not every date exists."""


def _as_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def read_yaml(path: Path) -> YamlDocument:
    """Reads a YAML file.

    Raises:
        BadInputError: It can't be read, or is not YAML that can be used; see `parse_yaml`.
    """
    return parse_yaml(read_text(path, limit=MAX_YAML), str(path))


def parse_yaml(
    text: str, where: str, loader: type[yaml.SafeLoader] = PlainLoader, *, unique_keys: bool = True
) -> YamlDocument:
    """Returns the document in a YAML text (or a JSON text, which is YAML too).

    Args:
        text: The text.
        where: The name of the file, for messages.
        loader: The loader; others than the usual one know further tags.
        unique_keys: Whether a key that is given twice is an error; otherwise the last value counts.

    Raises:
        YamlTagError: A tag is unknown.
        BadInputError: The text is too long, is not YAML, has a key twice, nests too deep, has aliases that
            multiply or contain themselves, or values that no program can use. The message names the line.
    """
    if len(text) > MAX_YAML:
        raise BadInputError(f"{where} has more than {MAX_YAML:,} characters.")
    try:
        reader = loader(text)
        try:
            root = reader.get_single_node()
            if root is None:
                return YamlDocument(None, {})
            _check_size(root, where)
            lines = _unique_lines(root, where) if unique_keys else {}
            content = _constructed(reader, root, where)
        finally:
            reader.dispose()
    except yaml.constructor.ConstructorError as error:
        tag = _tag_of(error)
        if tag:
            raise YamlTagError(tag, _line(error), where) from error
        raise _not_yaml(error, where) from error
    except yaml.YAMLError as error:
        raise _not_yaml(error, where) from error
    except RecursionError as error:
        raise BadInputError(f"{where}: it nests more than {MAX_DEPTH} levels deep.") from error
    problem = problem_of(content)
    if problem is not None:
        raise BadInputError(located(_with_line(where, problem[0], lines), *problem))
    return YamlDocument(content, lines)


def _check_size(root: yaml.Node, where: str) -> None:
    """Rejects aliases that contain themselves, and documents that are too large or too deep in full.

    Each node is visited once, so that the check itself takes little however much the aliases multiply.
    """
    sizes: dict[int, int] = {}
    depths: dict[int, int] = {}
    begun: set[int] = set()
    to_visit: list[tuple[yaml.Node, bool]] = [(root, False)]
    while to_visit:
        node, is_done = to_visit.pop()
        inner = _inner(node)
        if is_done:
            begun.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(one)] for one in inner)
            depths[id(node)] = 1 + max((depths[id(one)] for one in inner), default=0)
            line = node.start_mark.line + 1
            if sizes[id(node)] > MAX_NODES:
                raise BadInputError(f"{where}, line {line}: more than {MAX_NODES:,} values, with aliases.")
            if depths[id(node)] > MAX_DEPTH:
                raise BadInputError(f"{where}, line {line}: it nests more than {MAX_DEPTH} levels deep.")
            continue
        if id(node) in sizes:
            continue
        if id(node) in begun:
            line = node.start_mark.line + 1
            raise BadInputError(f"{where}, line {line}: this value contains itself, by an alias.")
        begun.add(id(node))
        to_visit.append((node, True))
        to_visit.extend((one, False) for one in inner if id(one) not in sizes)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _unique_lines(root: yaml.Node, where: str) -> dict[Location, int]:
    lines: dict[Location, int] = {}
    for location, line in _lines(root):
        if location in lines:
            dotted = key_of(location)
            raise BadInputError(
                f"{where}, line {line}: the key {dotted!r} is already defined in line {lines[location]}."
            )
        lines[location] = line
    return lines


def _lines(node: yaml.Node, location: Location = ()) -> Iterator[tuple[Location, int]]:
    """Yields the line (from 1) of every key and list item."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, _name_of(key))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*location, number), value.start_mark.line + 1
            yield from _lines(value, (*location, number))


def _name_of(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) else f"(line {key.start_mark.line + 1})"


_LONG_NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxXoO_:]*")


def _constructed(reader: yaml.SafeLoader, root: yaml.Node, where: str) -> Any:
    """Returns the value of a node; a scalar that its tag doesn't fit is named."""
    for location, node in _nodes(root):
        if node.tag in _PLAIN_TAGS:
            raise YamlTagError(node.tag, node.start_mark.line + 1, where)
        if not isinstance(node, yaml.ScalarNode):
            continue
        line = node.start_mark.line + 1
        kind = node.tag.rpartition(":")[2]
        if kind == "int" and len(node.value) > MAX_BITS + 4 and _LONG_NUMBER.fullmatch(node.value):
            raise _too_many_bits(where, line, location)
        if node.tag.startswith("tag:yaml.org,2002:") and kind in ("int", "float", "bool", "null"):
            try:
                value: Hashable = reader.construct_object(node)
            except (ValueError, KeyError, IndexError, OverflowError) as error:
                given = shortened(node.value, 40)
                raise BadInputError(f"{where}, line {line}: {given!r} is not {_KINDS[kind]}.") from error
            if kind == "int" and isinstance(value, int) and not -(2**MAX_BITS) <= value < 2**MAX_BITS:
                raise _too_many_bits(where, line, location)
    return reader.construct_document(root)


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "null": "null"}


def _too_many_bits(where: str, line: int, location: Location) -> BadInputError:
    key = f"{key_of(location)}: " if location else ""
    return BadInputError(f"{where}, line {line}: {key}a number of more than {MAX_BITS} bits.")


def _nodes(root: yaml.Node) -> Iterator[tuple[Location, yaml.Node]]:
    """Yields each node once, with the place where it stands first; a key stands where its value does."""
    seen: set[int] = set()
    to_visit: list[tuple[Location, yaml.Node]] = [((), root)]
    while to_visit:
        location, node = to_visit.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield location, node
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*location, _name_of(key))
                to_visit += [(inner, key), (inner, value)]
        elif isinstance(node, yaml.SequenceNode):
            to_visit.extend(((*location, number), value) for number, value in enumerate(node.value))


def _tag_of(error: yaml.constructor.ConstructorError) -> str:
    """Returns the unknown tag that an error is about; empty if it is about something else."""
    problem = str(error.problem)
    return problem.rpartition("tag ")[2].strip("'") if "could not determine a constructor" in problem else ""


def _line(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1


def _not_yaml(error: yaml.YAMLError, where: str) -> BadInputError:
    mark = getattr(error, "problem_mark", None)
    at = f"{where}, line {mark.line + 1}" if mark else where
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "can't be read")
    context = str(getattr(error, "context", None) or "")
    begun = getattr(error, "context_mark", None)
    words = next(
        (words for start, within, words in _FAULTS if problem.startswith(start) and within in context),
        problem,
    )
    since = f" (it begins in line {begun.line + 1})" if begun and mark and begun.line < mark.line else ""
    return BadInputError(f"{at}: this is not YAML: {words}{since if since and _OPEN in words else ''}.")


_OPEN = "isn't closed"

_FAULTS = (
    ("expected <block end>", "block mapping", "the indentation of this line doesn't fit the lines above"),
    ("expected <block end>", "", "this line is no item of the list above; check its indentation and its `-`"),
    (
        "mapping values are not allowed",
        "",
        "a colon stands where no key can be; check the indentation, and put texts with a colon in quotes",
    ),
    ("sequence entries are not allowed", "", "a list begins where none can; begin it on a line of its own"),
    (
        "block sequence entries are not allowed",
        "",
        "a list begins where none can; begin it on a line of its own",
    ),
    ("could not find expected ':'", "", "a key without a colon; write `key: value`"),
    ("expected ',' or ']'", "", f"a list in brackets {_OPEN}, or lacks a comma"),
    ("expected ',' or '}'", "", f"a table in braces {_OPEN}, or lacks a comma"),
    ("found unexpected end of stream", "", f"a text in quotes {_OPEN}"),
    ("found unexpected document separator", "", f"a text in quotes {_OPEN}"),
    ("found character '\\t'", "", "a tab; indent with spaces"),
    ("found character ", "", "a character that can't begin a value; put the text in quotes"),
    ("found unknown escape character", "", "a backslash begins no known escape; use single quotes"),
    ("found undefined alias", "", "a `*` begins a text; put the text in quotes"),
    ("expected alphabetic or numeric character", "", "a `*` or `&` begins a text; put the text in quotes"),
    ("expected a single document", "", "a second document begins; a file has one"),
    ("but found another document", "", "a second document begins; a file has one"),
    ("did not find expected", "", "a value is missing"),
    ("expected the node content", "", "a value is missing, or a bracket or comma too many"),
    ("expected chomping or indentation", "", "a `|` or `>` begins a text; put the text in quotes"),
    ("special characters are not allowed", "", "it has a control character"),
    ("unacceptable character", "", "it has a control character"),
)
"""The beginnings of PyYAML's messages, a word of their context, and their meaning in plain words."""


def _with_line(where: str, field: str, lines: dict[Location, int]) -> str:
    line = next((line for at, line in lines.items() if key_of(at) == field), None)
    return where if line is None else f"{where}, line {line}"
