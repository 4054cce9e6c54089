"""`sequela show`: one item of a suite or one edit as a model sees it, and how an answer is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.evaluate import Template
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError

if TYPE_CHECKING:
    from sequela.evaluation.inspection import ShownItem, ShownRequest, Token

LAST_TOKENS = 16
"""The number of tokens of a long prompt that are shown without `--all-tokens`."""

MOST_TASKS = 3
"""The number of tasks of a suite of which the item is shown in full; of the others, only the names are."""


def show(
    model: options.ModelArgument = options.DEFAULT_MODEL,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="A suite (see `sequela tasks`), or a task file.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="A subject of the suite, such as astronomy.")] = None,
    protocol: Annotated[str | None, typer.Option(help="A protocol of the suite, such as letters.")] = None,
    edits: Annotated[str | None, typer.Option("--edits", help=options.EDITS_HELP)] = None,
    item: Annotated[
        str, typer.Option("--item", help="The number of the item or edit, from 1, or its id.")
    ] = "1",
    answer: Annotated[
        str | None, typer.Option(help="An answer: show how each parser or metric reads it.")
    ] = None,
    template: Annotated[
        Template, typer.Option(help="Use plain prompts (none), or the model's chat template (chat).")
    ] = Template.NONE,
    all_tokens: Annotated[
        bool, typer.Option("--all-tokens", help=f"Show all tokens instead of the last {LAST_TOKENS}.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show an item or an edit as the model sees it, with its tokens, and how an answer is read."""
    if (suite is None) == (edits is None):
        raise BadInputError(
            "`sequela show` needs either --suite or --edits.",
            hint="For example: sequela show --suite gsm8k --item 3 --answer 'The answer is 18.'",
        )
    shown = _shown(model, suite, subject, protocol, edits, item, answer, template)
    if as_json:
        print_json([asdict(one) for one in shown])
        return
    most = len(shown) if suite is None else MOST_TASKS
    for one in shown[:most]:
        _print_item(one, all_tokens)
    if further := shown[most:]:
        names = ", ".join(dict.fromkeys(f"{one.task} ({one.protocol})" for one in further))
        print_line(f"\nNot shown: {names}. Choose by --subject and --protocol, or use --json.")


def _shown(
    name: str,
    suite: str | None,
    subject: str | None,
    protocol: str | None,
    edits: str | None,
    item: str,
    answer: str | None,
    template: Template,
) -> Sequence[ShownItem]:
    from sequela.edited import EditedModel
    from sequela.edited.chat_template import ChatTemplate
    from sequela.edits import load_edits
    from sequela.evaluation.inspection import show_edit, show_item
    from sequela.evaluation.registry import check_options
    from sequela.models import load_model

    loaded = None if edits is None else load_edits(edits)
    settings = {"subjects": subject, "protocols": protocol}
    chosen = {option: (value,) for option, value in settings.items() if value is not None}
    if suite is not None:
        check_options(suite, dict(chosen))  # a mistake is reported before the model is loaded
    with shown_progress(standard_error()) as progress:
        base = load_model(name, progress=progress)
    routers = (ChatTemplate.of(base),) if template is Template.CHAT else ()
    model = EditedModel(base, routers=routers)
    if suite is not None:
        return show_item(model, suite, item, options=chosen, answer=answer)
    assert loaded is not None
    return show_edit(model, loaded.find(item), answer=answer)


def _print_item(one: ShownItem, all_tokens: bool) -> None:
    print_line(f"\n{one.task} ({one.protocol}), {one.item}; right answer: {one.expected!r}", style="bold")
    printed = ""
    for request in one.requests:
        is_known = request.text == printed
        if not is_known:
            print_line(request.text)
        printed = request.text
        _print_request(request, all_tokens, is_known)
    if one.readings:
        print_table(
            "How the answer is read",
            ["by", "extracted", "rule", "score"],
            (
                [
                    reading.name,
                    "nothing" if reading.extracted is None else repr(reading.extracted),
                    reading.by or "-",
                    f"{reading.value:g}",
                ]
                for reading in one.readings
            ),
        )


def _print_request(request: ShownRequest, all_tokens: bool, is_prompt_known: bool) -> None:
    """Prints the tokens of a request; after another with the same prompt, only from its last token on."""
    first = 0 if all_tokens else max(0, len(request.tokens) - LAST_TOKENS)
    if is_prompt_known:
        first = max(first, min(token.position for token in request.tokens if "decision" in token.marks))
    facts = [f"{len(request.tokens)} tokens" + (f" (the first {first} are not shown)" if first else "")]
    if request.continuation:
        facts.insert(0, f"followed by {_quoted(request.continuation)}")
    if request.max_new_tokens is not None:
        stop = ", ".join(map(_quoted, request.stop)) or "none"
        facts += [f"at most {request.max_new_tokens} new tokens", f"stop strings: {stop}"]
    print_line("; ".join(facts), style="dim")
    print_table("", ["position", "id", "token", "marks"], map(_row, request.tokens[first:]))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _row(token: Token) -> list[str]:
    return [str(token.position), str(token.id), _quoted(token.text), ", ".join(token.marks)]
