"""`sequela show`: one item of a suite or one edit as a model sees it, and how answers are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_json_line, print_line, print_table, standard_error
from sequela.cli.evaluate import Template
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError

if TYPE_CHECKING:
    from sequela.edited.template_settings import TemplateSettings
    from sequela.evaluation.inspection import ShownAnswer, ShownItem, ShownRequest, Token

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
    read: Annotated[
        Path | None,
        typer.Option("--read", help="A file of answers, one JSON object per line: print how each is read."),
    ] = None,
    template: Annotated[
        Template, typer.Option(help="Use plain prompts (none), or the model's chat template (chat).")
    ] = Template.NONE,
    chat_template_args: options.ChatTemplateArgs = None,
    think_end_token: options.ThinkEndToken = None,
    max_thinking_tokens: options.MaxThinkingTokens = None,
    all_tokens: Annotated[
        bool, typer.Option("--all-tokens", help=f"Show all tokens instead of the last {LAST_TOKENS}.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show an item or an edit as the model sees it, with its tokens, and how an answer is read.

    With --read, no model is needed: each line of the file has a reader (letters, number, bbh, triviaqa,
    says), a text, and choices, gold or target; one JSON line is printed for each.
    """
    if sum(one is not None for one in (suite, edits, read)) != 1 or (read and answer is not None):
        raise BadInputError(
            "`sequela show` needs one of --suite, --edits and --read; --answer is not for --read.",
            hint="For example: sequela show --suite gsm8k --item 3 --answer 'The answer is 18.'",
        )
    if read is not None:
        given = {
            "--template": template is not Template.NONE,
            "--chat-template-args": chat_template_args,
            "--think-end-token": think_end_token is not None,
            "--max-thinking-tokens": max_thinking_tokens is not None,
        }
        for option, is_given in given.items():
            if is_given:
                raise BadInputError(
                    f"{option} is not for --read, which asks no model.",
                    hint="Remove it: only thoughts between well-known marks are left out of such a text.",
                )
        _print_readings(read)
        return
    asked = options.template_settings(
        template.value, chat_template_args, think_end_token, max_thinking_tokens
    )
    shown, labels = _shown(model, suite, subject, protocol, edits, item, answer, asked)
    if as_json:
        print_json([{**asdict(one), **labels} for one in shown])
        return
    if labels["template"] != "none":
        print_line(_template_in_words(labels))
    most = len(shown) if suite is None else MOST_TASKS
    for one in shown[:most]:
        _print_item(one, all_tokens)
    if further := shown[most:]:
        names = ", ".join(dict.fromkeys(f"{one.task} ({one.protocol})" for one in further))
        print_line(f"\nNot shown: {names}. Choose by --subject and --protocol, or use --json.")


def _print_readings(path: Path) -> None:
    """Prints how each answer of a file is read, once all of its lines are known to be right."""
    from sequela.evaluation.lm_eval.read_answer import answers_to_read, read_answer

    for answer in answers_to_read(path):
        found = read_answer(answer)
        print_json_line({"extracted": found.extracted, "right": found.right})


def _shown(
    name: str,
    suite: str | None,
    subject: str | None,
    protocol: str | None,
    edits: str | None,
    item: str,
    answer: str | None,
    asked: TemplateSettings,
) -> tuple[Sequence[ShownItem], Mapping[str, Any]]:
    """Returns the shown items, and the template in which the model is asked, as in measurements."""
    from sequela.edited import EditedModel
    from sequela.edited.chat_template import chat_templates, template_labels
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
    chats = chat_templates(base, asked)
    model, labels = EditedModel(base, routers=chats), template_labels(chats)
    if suite is not None:
        return show_item(model, suite, item, options=chosen, answer=answer), labels
    assert loaded is not None
    return show_edit(model, loaded.find(item), answer=answer), labels


def _template_in_words(labels: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in labels["template_args"].items())
    text = f"Chat template with {arguments or 'its defaults'}"
    if "think_end_token" not in labels:
        return f"{text}; no thinking"
    end = _quoted(labels["think_end_token"])
    if not labels["max_thinking_tokens"]:
        return f"{text}; thinking is switched off, it would end with {end}"
    return f"{text}; the answer begins after {end}, if the model thinks"


def _print_item(one: ShownItem, all_tokens: bool) -> None:
    print_line(f"\n{one.task} ({one.protocol}), {one.item}; right answer: {one.expected!r}", style="bold")
    printed = ""
    for request in one.requests:
        is_known = request.text == printed
        if not is_known:
            print_line(request.text)
        printed = request.text
        _print_request(request, all_tokens, is_known)
    if one.answer is not None:
        _print_division(one.answer)
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


def _print_division(answer: ShownAnswer) -> None:
    if answer.unfinished_thinking:
        print_line(f"No answer: the thinking {_quoted(answer.thinking)} doesn't end.")
    elif answer.thinking:
        print_line(f"Not read: {_quoted(answer.thinking)}. The answer: {_quoted(answer.answer)}")


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
        if request.max_thinking_tokens:
            facts.append(f"up to {request.max_thinking_tokens} tokens of thinking before")
        if request.begins_in_thought:
            facts.append("the prompt leaves a thought open")
    print_line("; ".join(facts), style="dim")
    print_table("", ["position", "id", "token", "marks"], map(_row, request.tokens[first:]))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _row(token: Token) -> list[str]:
    return [str(token.position), str(token.id), _quoted(token.text), ", ".join(token.marks)]
