"""Generated tokens give the same answer as the torch engine, wherever vLLM stopped."""

from __future__ import annotations

import math

from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.template_settings import TemplateSettings
from sequela.inference import GenerationRequest, TorchEngine, generation_request
from sequela.inference.vllm.decoding import Section, ended, next_section
from support.thinking import thinking_model
from support.tiny import tiny_language_model

PROMPT = "The capital of France is"
NEW_TOKENS = 10


def test_without_an_end_the_answer_has_the_maximum_length() -> None:
    model = tiny_language_model("llama")
    request = generation_request(EditedModel(model), PROMPT, NEW_TOKENS)
    (expected,) = TorchEngine().generate(EditedModel(model), [request])
    tokens = [(token, -1.0) for token in expected.ids]
    assert expected.ended_by == "length"
    assert ended(model, request, tokens) == expected
    assert ended(model, request, tokens[:-1]) is None


def test_the_text_ends_before_the_first_stop_string() -> None:
    model = tiny_language_model("llama")
    edited = EditedModel(model)
    (free,) = TorchEngine().generate(edited, [generation_request(edited, PROMPT, NEW_TOKENS)])
    request = generation_request(edited, PROMPT, NEW_TOKENS, stop=(free.text[6:9], free.text[2:4]))
    (expected,) = TorchEngine().generate(edited, [request])
    assert expected.ended_by == "stop"
    late = [(token, -1.0) for token in free.ids]
    assert ended(model, request, late) == expected  # vLLM found no stop string
    assert ended(model, request, late[: len(expected.ids)]) == expected
    assert ended(model, request, late[: len(expected.ids) - 1]) is None  # vLLM stopped without a stop string


def test_an_end_token_ends_the_text_and_is_not_part_of_it() -> None:
    model = tiny_language_model("llama")
    end = next(iter(model.end_ids))
    answer = ended(model, GenerationRequest((5,), 8), [(40, -1.0), (41, -1.0), (end, -1.0)])
    assert answer is not None
    assert (answer.ids, answer.ended_by, answer.finite) == ((40, 41), "end", True)
    assert answer.text == model.tokenizer.decode([40, 41], skip_special_tokens=True)


def test_an_answer_ends_before_the_first_token_that_is_not_finite() -> None:
    model = tiny_language_model("llama")
    answer = ended(model, GenerationRequest((5,), 8), [(40, -1.0), (0, math.nan), (0, math.nan)])
    assert answer is not None
    assert (answer.ids, answer.ended_by, answer.finite) == ((40,), "length", False)


def test_a_thought_is_generated_without_the_stop_strings_of_the_answer() -> None:
    model = thinking_model()
    settings = TemplateSettings(template="chat", max_thinking_tokens=20)
    edited = EditedModel(model, routers=(ChatTemplate.of(model, settings),))
    request = generation_request(edited, "Capital of France:", 4, ("\n",))
    (expected,) = TorchEngine().generate(edited, [request])
    assert (expected.thinking, expected.text) == ("<think>Rome?\nNo.</think>\n\n", "Paris")
    tokens = [(token, -1.0) for token in expected.ids]
    end = expected.ids.index(model.tokenizer.convert_tokens_to_ids("</think>")) + 1
    assert next_section(model, request, []) == Section(4, ("\n", "<think>"))
    assert next_section(model, request, tokens[:1]) == Section(19, ("</think>",))
    assert next_section(model, request, tokens[: end - 1]) == Section(20 - end + 1, ("</think>",))
    assert next_section(model, request, tokens[:end]) == Section(4, ("\n", "<think>"))
    assert ended(model, request, tokens[:-1]) is None
    assert ended(model, request, tokens) == expected
    assert next_section(
        model, generation_request(EditedModel(model), "A", 4, ("\n",)), tokens[:1]
    ) == Section(3, ("\n",))
