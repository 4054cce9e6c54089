"""`python -m sequela`, the same as the command `sequela`."""

from sequela.cli.main import main

if __name__ == "__main__":
    main()
