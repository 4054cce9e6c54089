"""ROME in one file: change one fact in a language model, with only torch and transformers.

Meng, Bau, Andonian, Belinkov, "Locating and Editing Factual Associations in GPT" (NeurIPS 2022).

    python examples/rome_in_one_file.py HuggingFaceTB/SmolLM2-135M-Instruct --text docs/*/*.md

The output projection W of an MLP is viewed as a memory that maps keys to values, v = W k. To make the model
continue "{subject} is located in the city of" with another city, ROME

1. reads k*, the key at the subject's last token (the mean over a few contexts),
2. optimizes v*, the value there with which the model predicts the new target, by gradient descent, and
3. adds the rank-one matrix that makes W map k* to v* and changes the values of other keys as little as
   possible: (v* - W k*) uᵀ / (u · k*) with u = C⁻¹ k*, where C = E[k kᵀ] over ordinary text (eq. 2).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.pytorch_utils import Conv1D


@dataclass(frozen=True)
class Settings:
    """Settings of the target optimization, with names and defaults of the released ROME and MEMIT."""

    v_num_grad_steps: int = 25
    v_lr: float = 0.5
    v_weight_decay: float = 0.5
    clamp_norm_factor: float = 4.0  # the bound of |delta| / |v|
    kl_factor: float = 0.0625
    stop_below: float = 0.05  # the loss below which the optimization ends


@dataclass(frozen=True)
class Prompt:
    """Token ids, the position of the subject's last token, and the number of the target's tokens."""

    ids: list[int]
    subject_last: int
    n_target: int


def tokenize(tokenizer: Any, context: str, prompt: str, subject: str, target: str = "") -> Prompt:
    """Tokenizes a prompt in a context (each has one `{}`) with a target; locates subject and target."""
    before, after = context.replace("{}", prompt, 1).split("{}")
    text, stop = before + subject + after, len(before + subject)
    encoded = tokenizer(f"{text} {target}" if target else text, return_offsets_mapping=True)
    spans = encoded["offset_mapping"]
    of_subject = [i for i, (a, b) in enumerate(spans) if a < b and a < stop and b > len(before)]
    of_target = [i for i, (a, b) in enumerate(spans) if a < b and b > len(text)]
    ids = encoded["input_ids"][: of_target[-1] + 1] if target else encoded["input_ids"]
    return Prompt(ids, of_subject[-1], len(of_target))


def logits_of(model: Any, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Returns the logits of rows of tokens, padded on the right, where causal attention ignores it."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=model.device)
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return logits


def target_logprobs(logprobs: torch.Tensor, prompt: Prompt) -> torch.Tensor:
    """Returns the log-probability of each target token, given all of them `[tokens, vocabulary]`."""
    start, stop = len(prompt.ids) - prompt.n_target, len(prompt.ids)
    return logprobs[torch.arange(start - 1, stop - 1), torch.tensor(prompt.ids[start:stop])]


@contextmanager
def hooked(module: torch.nn.Module, hook: Callable[[torch.Tensor, torch.Tensor], Any]) -> Iterator[None]:
    """Calls `hook(input, output)` whenever the module runs; a tensor it returns replaces the output."""
    handle = module.register_forward_hook(lambda _, inputs, output: hook(inputs[0], output))
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def keys_and_values(model: Any, module: torch.nn.Module, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
    """Returns the module's input (keys) and output (values) at the subjects, both `[prompts, width]`."""
    seen: list[torch.Tensor] = []
    with hooked(module, lambda keys, values: seen.extend((keys, values))):
        logits_of(model, [prompt.ids for prompt in prompts])
    rows, subjects = torch.arange(len(prompts)), torch.tensor([prompt.subject_last for prompt in prompts])
    return [activations[rows, subjects].float() for activations in seen]


@torch.no_grad()
def key_covariance(
    model: Any, tokenizer: Any, module: torch.nn.Module, text: str, window: int = 256
) -> torch.Tensor:
    """Computes C = E[k kᵀ] over the tokens of a text, uncentered as in the paper, float64 `[d_ff, d_ff]`."""
    lines = (tokenizer(line, add_special_tokens=False) for line in text.splitlines(keepends=True))
    ids = [token for line in lines for token in line["input_ids"]]
    rows = [ids[start : start + window] for start in range(0, len(ids) - window + 1, window)]
    if not rows:
        raise ValueError(f"the text has {len(ids)} tokens, fewer than one window of {window}")
    seen: list[torch.Tensor] = []
    total = torch.zeros((), dtype=torch.float64, device=model.device)
    for start in range(0, len(rows), 8):
        with hooked(module, lambda keys, _: seen.append(keys)):
            logits_of(model, rows[start : start + 8])
        keys = seen.pop().flatten(0, 1).float()
        total = total + (keys.T @ keys).double()
    if len(rows) * window < len(total):
        raise ValueError(
            f"the text has {len(ids)} tokens; C has {len(total)} rows and needs about ten for each"
        )
    return total / (len(rows) * window)


def find_value(
    model: Any, module: torch.nn.Module, rewrites: Sequence[Prompt], essence: Prompt, settings: Settings
) -> torch.Tensor:
    """Optimizes v*, the module's output at the subject with which the model predicts the target (eq. 4).

    Args:
        model: The model.
        module: The module whose output is changed; ROME takes the MLP's output projection.
        rewrites: The prompt with its target in every context, the bare prompt first.
        essence: "{subject} is a", whose next-token distribution should not change (the KL term).
        settings: The settings of the optimization.
    """
    prompts = [*rewrites, essence]
    rows, subjects = torch.arange(len(prompts)), torch.tensor([prompt.subject_last for prompt in prompts])
    # Where a norm follows the MLP, only the direction of its output has an effect. There, the change is
    # measured in units of the output's size, so that the settings mean the same whatever that size is.
    has_norm = any("post_feedforward_layernorm" in name for name, _ in model.named_modules())
    delta = torch.zeros(model.config.hidden_size, device=model.device, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=settings.v_lr)
    values: list[torch.Tensor] = []
    before: torch.Tensor | None = None

    def add_delta(_: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        values.append(output[0, subjects[0]].detach().float())
        change = (unit() * delta).expand(len(rows), -1).to(output)
        return output.index_put((rows, subjects), change, accumulate=True)

    def unit() -> float:
        return float(values[0].square().mean().sqrt()) if has_norm else 1.0

    for step in range(settings.v_num_grad_steps):
        with hooked(module, add_delta), torch.enable_grad():
            logprobs = logits_of(model, [prompt.ids for prompt in prompts]).float().log_softmax(-1)
        nlls = [-target_logprobs(logprobs[row], prompt).mean() for row, prompt in enumerate(rewrites)]
        after = logprobs[-1, essence.subject_last]
        before = after.detach() if before is None else before
        kl = (after.exp() * (after - before)).sum()
        decay = settings.v_weight_decay * delta.norm() / (values[0] / unit()).norm() ** 2
        loss = torch.stack(nlls).mean() + settings.kl_factor * kl + decay
        if step == settings.v_num_grad_steps - 1 or float(loss.detach()) < settings.stop_below:
            break
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            delta *= min(1.0, float(settings.clamp_norm_factor * values[0].norm() / unit() / delta.norm()))
    return values[0] + unit() * delta.detach()


def rome(
    model: Any,
    tokenizer: Any,
    module: torch.nn.Module,
    covariance: torch.Tensor,
    fact: tuple[str, str, str],
    contexts: Sequence[str] = ("{}",),
    settings: Settings = Settings(),
) -> torch.Tensor:
    """Computes the update of W for a fact (prompt, subject, target), float64 `[d, d_ff]`.

    The paper uses one key k*. The released code divides by the bare prompt's key instead of the mean, so that
    updates can explode. Here the mean is used everywhere (R-ROME, Gupta et al. 2024).
    """
    prompt, subject, target = fact
    rewrites = [tokenize(tokenizer, context, prompt, subject, target) for context in contexts]
    target_v = find_value(model, module, rewrites, tokenize(tokenizer, "{}", "{} is a", subject), settings)
    bare = [tokenize(tokenizer, context, prompt, subject) for context in contexts]
    key, value = (activations.mean(0).double() for activations in keys_and_values(model, module, bare))
    u = torch.linalg.solve(covariance, key)
    update: torch.Tensor = torch.outer(target_v.double() - value, u) / (u @ key)
    return update


def generate(model: Any, tokenizer: Any, text: str, n_tokens: int = 12, **options: Any) -> str:
    """Returns a text with its generated continuation."""
    inputs = tokenizer(text, return_tensors="pt").to(model.device)
    ids = model.generate(**inputs, max_new_tokens=n_tokens, pad_token_id=0, **options)[0]
    return str(tokenizer.decode(ids, skip_special_tokens=True))


@torch.no_grad()
def describe(model: Any, tokenizer: Any, fact: tuple[str, str, str]) -> str:
    """Describes the probability of the target and the model's continuation."""
    prompt = tokenize(tokenizer, "{}", *fact)
    logprob = target_logprobs(logits_of(model, [prompt.ids])[0].log_softmax(-1), prompt).sum()
    text = generate(model, tokenizer, fact[0].replace("{}", fact[1]), do_sample=False)
    return f"p({fact[2]}) = {float(logprob.exp()):.3g}  {' '.join(text.split())}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Edits a model as given on the command line, and prints its answers before and after."""
    parser = argparse.ArgumentParser(description="ROME with plain torch and transformers.")
    parser.add_argument("model", help="a folder or a hub id of a causal language model")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="text files, for C")
    parser.add_argument("--prompt", default="{} is located in the city of", help="with {} for the subject")
    parser.add_argument("--subject", default="The Eiffel Tower")
    parser.add_argument("--target", default="Rome")
    parser.add_argument("--layer", type=int, default=7)
    parser.add_argument("--module", default="model.layers.{}.mlp.down_proj", help="W; {} is the layer")
    parser.add_argument("--contexts", type=int, default=5, help="number of sampled contexts")
    given = parser.parse_args(arguments)
    try:
        text = "\n".join(path.read_text(encoding="utf-8") for path in given.text)
        model: Any = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(given.model)
        module = dict(model.named_modules()).get(given.module.format(given.layer))
        if module is None:
            raise ValueError(f"the model has no {given.module.format(given.layer)}; see --layer and --module")
        covariance = key_covariance(model, tokenizer, module, text)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    torch.manual_seed(0)
    options = {"do_sample": True, "top_k": 5}
    openings = [("The", "Therefore", "Because", "I", "You")[i % 5] for i in range(given.contexts)]
    sampled = [generate(model, tokenizer, word, 10, **options).replace("{", " ") for word in openings]
    contexts = ["{}", *(f"{' '.join(text.split())}. {{}}" for text in sampled)]
    fact = (given.prompt, given.subject, given.target)
    print("before:", describe(model, tokenizer, fact))
    update = rome(model, tokenizer, module, covariance, fact, contexts)
    update = update.T if isinstance(module, Conv1D) else update  # GPT-2 stores W transposed
    with torch.no_grad():
        module.weight.copy_(module.weight.double() + update)
    print("after: ", describe(model, tokenizer, fact))


if __name__ == "__main__":
    main()
