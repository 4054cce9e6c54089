"""An edited model as lm-evaluation-harness wants to see a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.protocols import NO_ROUTE, Route
from sequela.evaluation.answer_status import format_error
from sequela.inference import Engine, GenerationRequest, ScoreRequest

DEFAULT_MAX_NEW_TOKENS = 256
"""The harness's own default where a task names none."""

_LENGTH_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")

_OF_SAMPLING = ("top_p", "top_k", "min_p")
"""What has no effect on greedy answers."""

TokenizedPair = tuple[tuple[str, str] | None, list[int], list[int]]
"""Context and continuation as text (None for a window of a longer text) and as tokens."""


class EngineLM(TemplateLM):  # type: ignore[misc]
    """Answers the harness's requests with one of our engines.

    * **Requests**: a context passes the edited model's request seat before it is tokenized. A text
      whose perplexity is asked for (`loglikelihood_rolling`) is no request and stays as it is.
    * **Special tokens**: the tokenizer's own habit, as in the harness's `HFLM` for causal models: a
      beginning token where the tokenizer puts one (never a second one), none where it doesn't.
    * **Too long**: a request that doesn't fit in the model's context is refused: it is remembered in
      `too_long` with its tokens, its log-likelihood is minus infinity, its text empty. If prompts are to
      be cut, they lose tokens on their left, as in `HFLM`; here these are remembered in `truncated`.
    * **Not a number**: a prompt after which a logit was not a number is remembered in `nonfinite`;
      its log-likelihood is minus infinity, its text ends where it happened.
    * **Failed**: a request that can't be rewritten or tokenized, for a mistake in a template, is remembered
      in `failed` with the reason; its log-likelihood is minus infinity, its text empty. The others are asked.

    Args:
        model: The edited model.
        engine: What runs it.
        progress: Who is told.
        cut_prompts: Whether prompts that are too long are cut instead of refused.
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
        self._routes: dict[str, Route] = {}

    @property
    def max_length(self) -> int:
        """The most tokens the model reads at once."""
        return self.edited.base.context_length

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text.

        Raises:
            SequelaError: The tokenizer has none.
        """
        token: int | None = self.tokenizer.eos_token_id
        if token is None:
            raise SequelaError(f"The tokenizer of {self.edited.base.name!r} has no end token.")
        return token

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text without a context: the beginning token, else the end token."""
        beginning: int | None = self.tokenizer.bos_token_id
        return self.eot_token_id if beginning is None else beginning

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids of a text, with the special tokens that the class's docstring tells of."""
        if add_special_tokens is None and string.startswith(self.tokenizer.decode([self.prefix_token_id])):
            add_special_tokens = False
        special = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        ids: list[int] = self.tokenizer.encode(string, **special)
        return ids

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        try:
            return self._encoded(context, continuation)
        except Exception as error:  # noqa: BLE001 - whatever one item's mistake is, the others are asked
            self.failed[(context, continuation)] = format_error(error)
            return [], []

    def _encoded(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        rewritten = self._rewritten(context)
        if any(isinstance(router, ChatTemplate) for router in self.edited.routers):
            # An answer in a turn of its own begins without the space that plain text puts before it.
            continuation = continuation.lstrip(" ")
        pair: tuple[list[int], list[int]] = super()._encode_pair(rewritten, continuation)
        return pair

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Scores continuations; our own progress takes the place of the harness's bar."""
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return answers

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
        # The last token is only predicted, never read: it needs no place in the context.
        kept = self._fitted(text, context, self.max_length + 1 - len(continuation))
        return ScoreRequest(kept, tuple(continuation), self._routes.get(text or "", NO_ROUTE))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts, in windows of the context length; each token is predicted once."""
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
            BadInputError: Sampling, beams or another unknown setting was asked for.
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
            if generation.too_long is not None:
                self.too_long[(prompt,)] = generation.too_long
            elif not generation.finite:
                self.nonfinite.add(prompt)
        return texts

    def _prompt_tokens(self, prompt: str) -> list[int] | None:
        """The tokens of a prompt that is to be continued; None if it failed."""
        try:
            return self.tok_encode(self._rewritten(prompt) if prompt else "") or [self.prefix_token_id]
        except Exception as error:  # noqa: BLE001 - whatever one item's mistake is, the others are asked
            self.failed[(prompt,)] = format_error(error)
            return None

    def _generation_request(
        self, prompt: str, ids: list[int], settings: Mapping[str, Any]
    ) -> GenerationRequest:
        _refuse_sampling(settings)
        lengths = [settings[name] for name in _LENGTH_NAMES if settings.get(name) is not None]
        max_new_tokens = int(lengths[0]) if lengths else DEFAULT_MAX_NEW_TOKENS
        room = self.max_length - max_new_tokens
        if max_new_tokens < 1 or room < 1:
            raise BadInputError(
                f"{max_new_tokens} new tokens were asked for; {self.edited.base.name!r} has a context "
                f"of {self.max_length}, prompt included."
            )
        until = settings.get("until") or []
        stop = (until,) if isinstance(until, str) else tuple(until)
        route = self._routes.get(prompt, NO_ROUTE)
        return GenerationRequest(self._fitted(prompt, ids, room), max_new_tokens, stop, route)

    def _rewritten(self, prompt: str) -> str:
        """What is asked instead; of whom is remembered."""
        routed = self.edited.route(prompt)
        self._routes[prompt] = routed.route
        return routed.prompt

    def _fitted(self, text: str | None, ids: list[int], room: int) -> tuple[int, ...]:
        """The tokens of a prompt; where prompts are cut the last `room`, and the prompt is remembered."""
        if not self.cut_prompts or not 0 < room < len(ids):
            return tuple(ids)
        if text is not None:
            self.truncated.add(text)
        return tuple(ids[-room:])


def _refuse_sampling(settings: Mapping[str, Any]) -> None:
    """Refuses what isn't greedy; where a task says that it doesn't sample, how it would has no effect."""
    greedy = settings.get("do_sample") is False
    if not greedy and (settings.get("do_sample") or float(settings.get("temperature") or 0.0) > 0.0):
        raise BadInputError(
            f"Sampling was asked for ({dict(settings)}); answers are generated greedily.",
            hint="Set do_sample to false and leave the temperature out.",
        )
    known = {"until", "do_sample", "temperature", *_LENGTH_NAMES, *(_OF_SAMPLING if greedy else ())}
    if settings.get("num_beams") == 1:
        known.add("num_beams")
    if unknown := sorted(set(settings) - known):
        raise BadInputError(
            f"The generation settings have {', '.join(unknown)}.", hint=f"Known: {', '.join(sorted(known))}."
        )
