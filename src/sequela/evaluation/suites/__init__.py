"""The suites that come with Sequela: built-in questions, refusal and perplexity."""
