"""A task file as a user would write it."""

OWN = """
benchmark: capitals
protocol: generation
version: 2
what: Capitals of countries.
max_new_tokens: 8
items: capitals.jsonl
readings:
  strict: {extractors: [first_line], compare: name}
  lenient: {extractors: [first_line], compare: name_within}
harness:
  doc_to_text: "The capital of {{country}} is"
  doc_to_target: "{{capital}}"
  generation_kwargs: {until: ["\\n"]}
"""
