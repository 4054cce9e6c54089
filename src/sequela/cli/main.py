"""The program `sequela`: its commands, and the printing of errors."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sequela import __version__
from sequela.cli import (
    bisect,
    edit,
    evaluate,
    export,
    listings,
    results,
    run,
    show,
    stats,
    store,
    trace,
    train_editor,
    tune,
)
from sequela.cli.console import shown, standard_error
from sequela.cli.signals import STOPPED, exit_when_interrupted, interrupts_raised, quick_exit_if_stopped
from sequela.cli.threads import wait_passively
from sequela.core.errors import SequelaError

_NO_PROGRAM_ERROR = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
"""The errors of the system that have no reason in this program: permissions, and space on the disk."""


class Commands(TyperGroup):
    """The group of all commands; prints expected errors without a traceback and exits with status 2."""

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
            raise typer.Exit(2) from error
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


app = typer.Typer(
    name="sequela",
    cls=Commands,
    help="Edit the knowledge of language models and measure the effects and the cost of each edit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo", rich_help_panel="Experiments")(run.demo)
app.command("run", rich_help_panel="Experiments")(run.run)
app.command("results", rich_help_panel="Experiments")(results.results)
app.command("rescore", rich_help_panel="Experiments")(results.rescore)
app.command("bisect", rich_help_panel="Experiments")(bisect.bisect)
app.command("report", rich_help_panel="Experiments")(results.report)
app.command("edit", rich_help_panel="Single steps")(edit.edit)
app.command("evaluate", rich_help_panel="Single steps")(evaluate.evaluate)
app.command("export", rich_help_panel="Single steps")(export.export)
app.command("stats", rich_help_panel="Single steps")(stats.stats)
app.command("trace", rich_help_panel="Single steps")(trace.trace)
app.command("train-editor", rich_help_panel="Single steps")(train_editor.train_editor)
app.command("tune", rich_help_panel="Single steps")(tune.tune)
app.command("methods", rich_help_panel="Lists")(listings.methods)
app.command("models", rich_help_panel="Lists")(listings.models)
app.command("presets", rich_help_panel="Lists")(listings.presets)
app.command("show", rich_help_panel="Lists")(show.show)
app.command("edits", rich_help_panel="Lists")(listings.edits)
app.command("tasks", rich_help_panel="Lists")(listings.tasks)
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
        app()
