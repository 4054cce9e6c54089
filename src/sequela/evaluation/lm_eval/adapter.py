"""An adapter that runs the requests of lm-evaluation-harness on an edited model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.joining import ANSWER, without_end_spaces
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.protocols import NO_ROUTE, Route, Routed
from sequela.evaluation.answer_status import format_error
from sequela.evaluation.lm_eval.harness_keys import stop_problem
from sequela.inference import Engine, GenerationRequest, ScoreRequest
from sequela.models import tokenize_prompt
from sequela.models.control_tokens import BEGIN, encode_text, mark_control_tokens, without_marks

DEFAULT_MAX_NEW_TOKENS = 256
"""The harness's own default, for tasks that don't set a maximum."""

_LENGTH_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")

_OF_SAMPLING = ("top_p", "top_k", "min_p")
"""Sampling settings, which have no effect on greedy decoding."""

TokenizedPair = tuple[tuple[str, str] | None, list[int], list[int]]
"""Context and continuation as text (None for a window of a longer text) and as tokens."""


class EngineLM(TemplateLM):  # type: ignore[misc]
    """Runs the harness's requests on one of Sequela's engines.

    * **Requests**: a context passes the edited model's routers before it is tokenized. A text for
      `loglikelihood_rolling` (perplexity) is not a request and is not rewritten.
    * **Special tokens**: the tokenizer's default, as in the harness's `HFLM` for causal models: a
      beginning-of-sequence token if the tokenizer adds one (never a second one), otherwise none. Those that
      a text quotes are text.
    * **Chat templates**: an answer is joined to the template as an edit's target is, without the line break
      that ends the template.
    * **Too long**: a request that doesn't fit the model's context is not run. It is recorded in `too_long`
      with its length in tokens; its log-likelihood is minus infinity, its text empty. With `cut_prompts`,
      prompts are truncated on the left, as in `HFLM`, and recorded in `truncated`.
    * **Thinking**: a text is the model's answer, without its thinking, which is recorded in `thinking` by
      prompt. If it doesn't end, the text is empty, and its length in tokens is in `unfinished_thinking`.
      Given answers are scored behind an empty thought if the template leaves one open.
    * **Not finite**: a prompt followed by a non-finite logit is recorded in `nonfinite`; its
      log-likelihood is minus infinity, its text ends there.
    * **Failed**: a request that can't be rewritten or tokenized, for example because of an error in a
      template or an empty choice, is recorded in `failed` with the reason; its log-likelihood is minus
      infinity, its text empty. The other requests are run.

    Args:
        model: The edited model.
        engine: The engine that runs it.
        progress: Receives progress reports.
        cut_prompts: Whether to truncate prompts that are too long instead of rejecting them.
    """

    def __init__(
        self, model: EditedModel, engine: Engine, progress: Progress = SILENT, *, cut_prompts: bool = False
    ) -> None:
        super().__init__()
        self.edited = model
        self.engine = engine
        self.progress = progress
        self.cut_prompts = cut_prompts
        self.tokenizer = model.base.tokenizer
        self.truncated: set[str] = set()
        self.nonfinite: set[str] = set()
        self.too_long: dict[tuple[str, ...], int] = {}
        self.failed: dict[tuple[str, ...], str] = {}
        self.thinking: dict[str, str] = {}
        self.unfinished_thinking: dict[str, int] = {}
        self._routes: dict[str, Route] = {}

    @property
    def max_length(self) -> int:
        """The context length of the model in tokens."""
        return self.edited.base.context_length

    @property
    def eot_token_id(self) -> int:
        """The end-of-sequence token.

        Raises:
            SequelaError: The tokenizer has no such token.
        """
        token: int | None = self.tokenizer.eos_token_id
        if token is None:
            raise SequelaError(f"The tokenizer of {self.edited.base.name!r} has no end-of-sequence token.")
        return token

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without context: beginning-of-sequence, otherwise end-of-sequence."""
        beginning: int | None = self.tokenizer.bos_token_id
        return self.eot_token_id if beginning is None else beginning

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Returns the token ids of a text, with special tokens as described for the class."""
        if add_special_tokens is None:
            beginning = self.tokenizer.decode([self.prefix_token_id])
            add_special_tokens = not string.startswith((beginning, f"{BEGIN}{beginning}"))
            if not add_special_tokens and not string.startswith(BEGIN):
                head = string[: len(beginning)]
                string = mark_control_tokens(self.tokenizer, head) + string.removeprefix(head)
        return list(encode_text(self.tokenizer, string, add_special_tokens=add_special_tokens).ids)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Scores continuations."""
        pairs: list[TokenizedPair] = []
        for context, continuation in (request.args for request in requests):
            pairs.append(((context, continuation), *self._encode_pair(context, continuation)))
        return self._loglikelihood_tokens(pairs)

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        try:
            return self._encoded(context, continuation)
        except Exception as error:  # noqa: BLE001 - an error in one item must not stop the others
            self.failed[(context, continuation)] = format_error(error)
            return [], []

    def _encoded(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        if not continuation.strip():
            raise BadInputError("The choice is empty.")
        if not context:
            ids = self.tok_encode(continuation, add_special_tokens=False)
            begins = len(ids) > 1 and ids[0] == self.prefix_token_id
            return (ids[:1], ids[1:]) if begins else ([self.prefix_token_id], ids)
        rewritten = self._routed(context).answer_prompt
        if any(isinstance(router, ChatTemplate) for router in self.edited.routers):
            # An answer in a turn of its own is joined to the template, as an edit's target is.
            tokens = tokenize_prompt(self.tokenizer, rewritten, target=continuation.lstrip())
            return list(tokens.prompt_ids), list(tokens.target_ids)
        pair: tuple[list[int], list[int]] = super()._encode_pair(rewritten, continuation)
        return pair

    def _loglikelihood_tokens(self, requests: Sequence[TokenizedPair], **_: Any) -> list[tuple[float, bool]]:
        asked = [index for index, (pair, _, _) in enumerate(requests) if pair not in self.failed]
        answers = [(-math.inf, False)] * len(requests)
        scores = self.engine.score(
            self.edited, [self._score_request(*requests[index]) for index in asked], self.progress
        )
        for index, score in zip(asked, scores, strict=True):
            answers[index] = (score.logprob, score.greedy)
            pair = requests[index][0]
            if pair is not None and score.too_long is not None:
                self.too_long[pair] = score.too_long
            elif pair is not None and not score.finite:
                self.nonfinite.add(pair[0])
        return answers

    def _score_request(
        self, pair: tuple[str, str] | None, context: list[int], continuation: list[int]
    ) -> ScoreRequest:
        text = None if pair is None else pair[0]
        # The last token is only predicted, never read, so it doesn't count toward the context length.
        kept = self._fitted(text, context, self.max_length + 1 - len(continuation))
        return ScoreRequest(kept, tuple(continuation), self._routes.get(text or "", NO_ROUTE))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Scores whole texts in windows of the context length; each token is predicted once."""
        windows: list[TokenizedPair] = []
        owners: list[int] = []
        for owner, request in enumerate(requests):
            for pair in get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            ):
                context, continuation = make_disjoint_window(pair)
                windows.append((None, context, continuation))
                owners.append(owner)
        totals = [0.0] * len(requests)
        for owner, (logprob, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[owner] += logprob
        for request, total in zip(requests, totals, strict=True):
            if not math.isfinite(total):
                self.nonfinite.add(request.args[0])
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continues prompts greedily.

        Raises:
            BadInputError: The settings ask for sampling or beam search, or one is unknown.
        """
        asked: dict[int, GenerationRequest] = {}
        for index, request in enumerate(requests):
            prompt, settings = request.args
            tokens = self._prompt_tokens(prompt)
            if tokens is not None:
                asked[index] = self._generation_request(prompt, tokens, settings)
        texts = [""] * len(requests)
        generations = self.engine.generate(self.edited, list(asked.values()), self.progress)
        for index, generation in zip(asked, generations, strict=True):
            texts[index] = generation.text
            prompt = requests[index].args[0]
            if generation.thinking:
                self.thinking[prompt] = generation.thinking
            if generation.unfinished_thinking is not None:
                self.unfinished_thinking[prompt] = generation.unfinished_thinking
            if generation.too_long is not None:
                self.too_long[(prompt,)] = generation.too_long
            elif not generation.finite:
                self.nonfinite.add(prompt)
        return texts

    def _prompt_tokens(self, prompt: str) -> list[int] | None:
        """Returns the tokens of a prompt to be continued; None if it failed."""
        try:
            rewritten = self._routed(prompt).prompt if prompt else ""
            if rewritten.endswith(ANSWER):
                rewritten = without_end_spaces(rewritten.removesuffix(ANSWER))
            return self.tok_encode(rewritten) or [self.prefix_token_id]
        except Exception as error:  # noqa: BLE001 - an error in one item must not stop the others
            self.failed[(prompt,)] = format_error(error)
            return None

    def _generation_request(
        self, prompt: str, ids: list[int], settings: Mapping[str, Any]
    ) -> GenerationRequest:
        _check_greedy(settings)
        lengths = [settings[name] for name in _LENGTH_NAMES if settings.get(name) is not None]
        max_new_tokens = int(lengths[0]) if lengths else DEFAULT_MAX_NEW_TOKENS
        route = self._routes.get(prompt, NO_ROUTE)
        for_thinking = 0 if route.thinking is None else route.thinking.max_tokens
        room = self.max_length - max_new_tokens - for_thinking
        if max_new_tokens < 1 or room < 1:
            thinking = f" and {for_thinking} for thinking" if for_thinking else ""
            raise BadInputError(
                f"{max_new_tokens} new tokens{thinking} were requested; {self.edited.base.name!r} has a "
                f"context of {self.max_length} tokens, prompt included.",
                hint="Lower max_thinking_tokens." if for_thinking else None,
            )
        until = settings.get("until", [])
        if wrong := stop_problem(until):
            raise BadInputError(f"The task {wrong}.")
        stop = (until,) if isinstance(until, str) else tuple(until or ())
        return GenerationRequest(self._fitted(prompt, ids, room), max_new_tokens, stop, route)

    def _routed(self, prompt: str) -> Routed:
        """Returns the prompt after routing, and stores its route."""
        routed = self.edited.route(without_marks(prompt))
        self._routes[prompt] = routed.route
        return routed

    def _fitted(self, text: str | None, ids: list[int], room: int) -> tuple[int, ...]:
        """Returns the tokens of a prompt, truncated to the last `room` and recorded if prompts are cut."""
        if not self.cut_prompts or not 0 < room < len(ids):
            return tuple(ids)
        if text is not None:
            self.truncated.add(text)
        return tuple(ids[-room:])


def _check_greedy(settings: Mapping[str, Any]) -> None:
    """Rejects settings other than greedy decoding; with `do_sample: false`, sampling settings are ignored."""
    greedy = settings.get("do_sample") is False
    if not greedy and (settings.get("do_sample") or float(settings.get("temperature") or 0.0) > 0.0):
        raise BadInputError(
            f"Sampling is not supported ({dict(settings)}); answers are generated greedily.",
            hint="Set do_sample to false and leave the temperature out.",
        )
    known = {"until", "do_sample", "temperature", *_LENGTH_NAMES, *(_OF_SAMPLING if greedy else ())}
    if settings.get("num_beams") == 1:
        known.add("num_beams")
    if unknown := sorted(set(settings) - known):
        raise BadInputError(
            f"Unknown generation settings: {', '.join(unknown)}.", hint=f"Known: {', '.join(sorted(known))}."
        )
