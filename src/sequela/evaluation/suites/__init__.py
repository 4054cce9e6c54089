"""The suites that come with the program: built-in questions, refusal, perplexity."""
