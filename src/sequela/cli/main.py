"""The program `sequela`: its commands, and the printing of errors."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from sequela import __version__
from sequela.cli import (
    bisect,
    edit,
    evaluate,
    export,
    listings,
    plan,
    results,
    run,
    show,
    stats,
    status,
    store,
    trace,
    train_editor,
    tune,
)
from sequela.cli.console import shown, standard_error
from sequela.cli.signals import STOPPED, exit_when_interrupted, interrupts_raised, quick_exit_if_stopped
from sequela.cli.threads import limit_threads, wait_passively
from sequela.core.errors import BadInputError, SequelaError
from sequela.core.plain_values import can_be_encoded, text_problem
from sequela.core.visible_text import shortened, visible

_NO_PROGRAM_ERROR = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
"""The errors of the system that have no reason in this program: permissions, and space on the disk."""


class Commands(TyperGroup):
    """The group of all commands; prints expected errors without a traceback and exits with their status."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command and prints its errors."""
        console = standard_error()
        try:
            with interrupts_raised() as interrupted:
                try:
                    return super().invoke(ctx)
                except (SequelaError, typer.Exit):
                    raise
                except Exception as error:
                    if interrupted():
                        raise KeyboardInterrupt from error
                    raise
        except SequelaError as error:
            console.print(f"[bold red]Error:[/] {shown(error.message)}", highlight=False, soft_wrap=True)
            if error.hint:
                console.print(shown(error.hint), highlight=False, soft_wrap=True)
            raise typer.Exit(error.exit_status) from error
        except OSError as error:
            if error.errno not in _NO_PROGRAM_ERROR:
                raise
            where = f"Can't use {error.filename}" if error.filename else "Can't read or write a file"
            console.print(
                f"[bold red]Error:[/] {shown(f'{where}: {error.strerror}.')}", highlight=False, soft_wrap=True
            )
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            console.print("Stopped.")
            raise typer.Exit(STOPPED) from interrupt


class TextCheckingCommand(TyperCommand):
    """A command whose options are texts that can be encoded; only a path may have any bytes.

    Python reads a byte that is not UTF-8 as half of a surrogate pair, which no tokenizer takes.
    """

    def invoke(self, ctx: Any) -> Any:
        """Checks the options and runs the command."""
        for parameter in self.params:
            given = ctx.params.get(parameter.name)
            for text in given if isinstance(given, list | tuple) else (given,):
                if isinstance(text, str) and (unusable := text_problem(text)):
                    has = unusable if can_be_encoded(text) else "a byte that is not UTF-8"
                    known = visible(shortened(text, 50))
                    raise BadInputError(
                        f"{parameter.opts[0]}: '{known}' has {has}.",
                        hint="Set the terminal to UTF-8, or put the text into a file of the encoding UTF-8.",
                    )
        return super().invoke(ctx)


class ComputingCommand(TextCheckingCommand):
    """A command that runs models; it begins with the number of threads if that is not the number of cores."""

    def invoke(self, ctx: Any) -> Any:
        """Limits the threads, which takes milliseconds and must precede PyTorch; then runs the command."""
        limit = ctx.find_root().obj  # only the program has one: tests call commands in their own process
        if limit is not None and (threads := limit()):
            standard_error().print(shown(threads), highlight=False, soft_wrap=True)
        return super().invoke(ctx)


app = typer.Typer(
    name="sequela",
    cls=Commands,
    help="Edit the knowledge of language models and measure the effects and the cost of each edit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_command = partial(app.command, cls=TextCheckingCommand)
_computing = partial(app.command, cls=ComputingCommand)

_computing("demo", rich_help_panel="Experiments")(run.demo)
_computing("run", rich_help_panel="Experiments")(run.run)
_command("status", rich_help_panel="Experiments")(status.status)
_command("pause", rich_help_panel="Experiments")(status.pause)
_command("unpause", rich_help_panel="Experiments")(status.unpause)
_command("cancel", rich_help_panel="Experiments")(status.cancel)
_computing("plan", rich_help_panel="Experiments")(plan.plan)
_command("results", rich_help_panel="Experiments")(results.results)
_command("rescore", rich_help_panel="Experiments")(results.rescore)
_computing("bisect", rich_help_panel="Experiments")(bisect.bisect)
_command("report", rich_help_panel="Experiments")(results.report)
_computing("edit", rich_help_panel="Single steps")(edit.edit)
_computing("evaluate", rich_help_panel="Single steps")(evaluate.evaluate)
_computing("export", rich_help_panel="Single steps")(export.export)
_computing("stats", rich_help_panel="Single steps")(stats.stats)
_computing("trace", rich_help_panel="Single steps")(trace.trace)
_computing("train-editor", rich_help_panel="Single steps")(train_editor.train_editor)
_computing("tune", rich_help_panel="Single steps")(tune.tune)
_command("methods", rich_help_panel="Lists")(listings.methods)
_command("models", rich_help_panel="Lists")(listings.models)
_command("presets", rich_help_panel="Lists")(listings.presets)
_command("show", rich_help_panel="Lists")(show.show)
_command("edits", rich_help_panel="Lists")(listings.edits)
_command("tasks", rich_help_panel="Lists")(listings.tasks)
app.add_typer(store.app, name="store", rich_help_panel="Lists")


def print_version(requested: bool) -> None:
    """Prints the version and exits if `requested`."""
    if requested:
        sys.stdout.write(f"sequela {__version__}\n")
        raise typer.Exit


# The option is eager: otherwise, the program would report a missing command before the option is read.
@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Edit the knowledge of language models and measure the effects and the cost of each edit."""


def main() -> None:
    """Runs the program."""
    exit_when_interrupted()
    wait_passively(os.environ)
    with quick_exit_if_stopped():
        app(obj=partial(limit_threads, os.environ))
