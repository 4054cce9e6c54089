"""Sequela: edit the knowledge of language models, and measure what each edit changed, kept and cost."""

__version__ = "0.1.0"
