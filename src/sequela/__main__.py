"""The program's start, as `sequela` or as `python -m sequela`."""

from sequela.cli.signals import exit_when_interrupted


def main() -> None:
    """Runs the program."""
    exit_when_interrupted()
    # Imported here because it takes a while, in which Ctrl-C should not print a traceback.
    from sequela.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
