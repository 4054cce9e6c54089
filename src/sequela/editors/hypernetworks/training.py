"""Training a network that edits: each edit of a batch by itself, on the unedited model.

The loss of an edit is `edit_weight` times the cross-entropy of its target, after its prompt and after another
phrasing of it, plus `locality_weight` times the KL divergence from the unedited model on an unrelated prompt,
all with the change in force that the network made of the edit's gradient (Mitchell et al. 2022, section 3.3).
Nothing is drawn while training: the batch of a step follows from the seed, so that a training that was
interrupted goes on to the same curve.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from sequela.editors.factors import changed_by, read_factors
from sequela.editors.hypernetworks.artifact import (
    Artifact,
    Reading,
    describe_artifact,
    save_network,
    settings_of_training,
)
from sequela.editors.hypernetworks.examples import Examples, TrainingEdits
from sequela.editors.hypernetworks.network import HyperNetwork
from sequela.editors.likelihood import batch_of, mean_losses, target_logits
from sequela.ground.errors import IntegrityError
from sequela.ground.files import load_tensors, save_tensors
from sequela.ground.hashing import hash_json
from sequela.ground.paths import replacing
from sequela.ground.progress import Progress
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.partial import Recording, record

STATE = "training.json"
STATE_TENSORS = "training.safetensors"


class TrainingSettings(BaseModel):
    """How a network is trained.

    Args:
        n_steps: The most steps.
        batch_size: Edits in a step.
        micro_batch: Edits that go through the model together; less needs less memory and changes nothing.
        lr: Adam's learning rate.
        clip: The greatest norm of a step's gradient.
        edit_weight: The weight of the edits' loss.
        locality_weight: The weight of the divergence elsewhere.
        validate_every: After so many steps the held-out edits are made and the state is kept.
        n_held_out: How many edits are held out.
        patience: Training ends after so many validations without a better one.
        minutes: Training ends after so many minutes.
        seed: The seed of the order of edits and of the network's beginning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: int = Field(default=10_000, ge=1)
    batch_size: int = Field(default=10, ge=1)
    micro_batch: int = Field(default=10, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    clip: float = Field(default=100.0, gt=0)
    edit_weight: float = Field(default=0.1, gt=0)
    locality_weight: float = Field(default=1.0, ge=0)
    validate_every: int = Field(default=100, ge=1)
    n_held_out: int = Field(default=100, ge=1)
    patience: int = Field(default=10, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a network's changes did to examples.

    Args:
        edit_loss: Cross-entropy of the targets in nats a token, mean over prompts and paraphrases.
        kl: Divergence from the unedited model on neighbors, nats a token.
        efficacy: For each edit whether its target is the likeliest after its prompt, token by token.
        paraphrase: The same after the paraphrase.
        locality: For each whether the neighbor's likeliest tokens stay.
    """

    edit_loss: torch.Tensor
    kl: torch.Tensor
    efficacy: list[bool]
    paraphrase: list[bool]
    locality: list[bool]


def made_and_measured(
    model: LanguageModel, network: HyperNetwork, first: int, examples: Examples, *, learns: bool = False
) -> Outcome:
    """Makes each edit by itself and looks at what became of its rows; gradients flow to the network.

    Args:
        model: The unedited model.
        network: The network.
        first: The lowest layer that is edited.
        examples: The edits.
        learns: Whether the network takes the gradients into its means and deviations.
    """
    recording = _recorded(model, examples.prompts, first)
    factors, _ = read_factors(model, recording, network.names, examples.prompts)
    if learns:
        network.see(factors)
    changes = network(factors)
    losses, right = [], []
    for prompts, recorded in (
        (examples.prompts, recording),
        (examples.paraphrases, _recorded(model, examples.paraphrases, first)),
    ):
        with changed_by(model, changes):
            logits = target_logits(model, recorded.run(), prompts)
        losses.append(mean_losses(logits, prompts).mean())
        right.append([_says(one, prompt) for one, prompt in zip(logits, prompts, strict=True)])
    recorded = _recorded(model, examples.neighbors, first)
    with torch.no_grad():
        before = target_logits(model, recorded.final, examples.neighbors)
    with changed_by(model, changes):
        after = target_logits(model, recorded.run(), examples.neighbors)
    divergences = [_kl(one, other) for one, other in zip(before, after, strict=True)]
    stays = [
        bool((one.argmax(-1) == other.argmax(-1)).all()) for one, other in zip(before, after, strict=True)
    ]
    return Outcome(torch.stack(losses).mean(), torch.stack(divergences).mean(), right[0], right[1], stays)


def _recorded(model: LanguageModel, prompts: Sequence[TokenizedPrompt], first: int) -> Recording:
    return record(model, batch_of(model, prompts), first)


def _says(logits: torch.Tensor, prompt: TokenizedPrompt) -> bool:
    """Whether every token of the target is the likeliest in its place."""
    return logits.argmax(-1).tolist() == list(prompt.target_ids)


def _kl(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    old, new = before.log_softmax(-1), after.log_softmax(-1)
    return (old.exp() * (old - new)).sum(-1).mean()


class Training:
    """One training, from its beginning or from where it was left.

    Args:
        editor: The method's name.
        editor_settings: The method's settings.
        model: The unedited model.
        network: The network as it is before training.
        first: The lowest layer that is edited.
        edits: What to train on.
        settings: How.
        folder: Where the state and the artifact are kept.
        progress: Who is told.
    """

    def __init__(
        self,
        editor: str,
        editor_settings: dict[str, Any],
        model: LanguageModel,
        network: HyperNetwork,
        first: int,
        edits: TrainingEdits,
        settings: TrainingSettings,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._editor = editor
        self._editor_settings = settings_of_training(editor_settings)
        self._model = model
        self._network = network
        self._first = first
        self._edits = edits
        self._settings = settings
        self._folder = folder
        self._progress = progress
        self._adam = torch.optim.Adam(network.parameters(), lr=settings.lr)
        self._curve: list[Reading] = []
        self._step = 0
        self._since: list[float] = []
        self._best_network = ""

    @property
    def _key(self) -> str:
        """What a training that goes on must have in common with the one that was left."""
        endings = {"n_steps", "minutes", "patience", "micro_batch"}
        return hash_json(
            {
                "editor": self._editor,
                "editor_settings": self._editor_settings,
                "model": self._model.fingerprint,
                "edits": self._edits.content_hash,
                "settings": self._settings.model_dump(mode="json", exclude=endings),
            }
        )

    def memory_bytes(self) -> int:
        """About how much memory training takes above the model: network, gradients, Adam, one micro-batch."""
        parameters = sum(parameter.numel() for parameter in self._network.parameters())
        sample = Examples.of(self._model, self._edits.train[: self._settings.micro_batch], "memory")
        rows = (sample.prompts, sample.paraphrases, sample.neighbors)
        tokens = sum(len(some) * max(len(prompt.ids) for prompt in some) for some in rows)
        targets = sum(len(prompt.target_ids) for some in rows for prompt in some)
        vocabulary = int(self._model.module.config.vocab_size)
        layers = self._model.n_layers - self._first
        activations = tokens * (
            12 * self._network.width + 8 * layers * (self._model.key_size + self._model.hidden_size)
        )
        return 4 * (4 * parameters + activations + 4 * targets * vocabulary)

    def run(self) -> Artifact:
        """Trains until the steps, the minutes or the patience are used up; keeps the best network."""
        self._resume()
        started = time.perf_counter() - (self._curve[-1].seconds if self._curve else 0.0)
        task = self._progress.start(f"training {self._editor}", self._settings.n_steps)
        self._progress.advance(task, self._step)
        if not self._curve:
            self._validate(0.0)
        while self._step < self._settings.n_steps and not self._is_enough(started):
            self._since.append(self._one_step())
            self._step += 1
            self._progress.advance(task)
            if self._step % self._settings.validate_every == 0:
                self._validate(time.perf_counter() - started)
        if self._curve[-1].step != self._step:
            self._validate(time.perf_counter() - started)
        self._progress.finish(task)
        artifact = self._artifact()
        describe_artifact(self._folder, artifact)  # with what came after the best
        return artifact

    def _one_step(self) -> float:
        """One step of Adam; returns its loss."""
        settings = self._settings
        batch = self._edits.batch(self._step, settings.batch_size, settings.seed)
        examples = Examples.of(self._model, batch, f"{settings.seed} {self._step}")
        self._adam.zero_grad()
        total = 0.0
        for part in examples.split(settings.micro_batch):
            share = len(part.prompts) / len(examples.prompts)
            outcome = made_and_measured(self._model, self._network, self._first, part, learns=True)
            loss = share * (settings.edit_weight * outcome.edit_loss + settings.locality_weight * outcome.kl)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), settings.clip)
        self._adam.step()
        return total

    def _validate(self, seconds: float) -> None:
        found: list[Outcome] = []
        examples = Examples.of(self._model, self._edits.held_out, "held out")
        parts = examples.split(self._settings.micro_batch)
        with torch.no_grad():
            for part in parts:
                found.append(made_and_measured(self._model, self._network, self._first, part))
        shares = [len(part.prompts) / len(examples.prompts) for part in parts]
        edit_loss = sum(share * float(one.edit_loss) for share, one in zip(shares, found, strict=True))
        kl = sum(share * float(one.kl) for share, one in zip(shares, found, strict=True))
        reading = Reading(
            step=self._step,
            seconds=seconds,
            train_loss=sum(self._since) / len(self._since) if self._since else None,
            loss=self._settings.edit_weight * edit_loss + self._settings.locality_weight * kl,
            efficacy=_share([one for outcome in found for one in outcome.efficacy]),
            paraphrase=_share([one for outcome in found for one in outcome.paraphrase]),
            locality=_share([one for outcome in found for one in outcome.locality]),
            kl=kl,
        )
        self._since = []
        self._curve.append(reading)
        self._progress.say(
            f"step {reading.step}: loss {reading.loss:.4f}, efficacy {reading.efficacy:.2f}, "
            f"paraphrase {reading.paraphrase:.2f}, locality {reading.locality:.2f}"
        )
        if self._best() is reading:
            self._best_network = save_network(self._folder, self._network)
            describe_artifact(self._folder, self._artifact())
        self._keep()

    def _best(self) -> Reading:
        losses = [reading for reading in self._curve if math.isfinite(reading.loss)] or self._curve
        return min(losses, key=lambda reading: reading.loss)

    def _is_enough(self, started: float) -> bool:
        settings = self._settings
        if settings.minutes is not None and time.perf_counter() - started > 60 * settings.minutes:
            return True
        return len(self._curve) - 1 - self._curve.index(self._best()) >= settings.patience

    def _artifact(self) -> Artifact:
        return Artifact(
            editor=self._editor,
            base_fingerprint=self._model.fingerprint,
            base_name=self._model.name,
            settings=self._editor_settings,
            training=self._settings.model_dump(mode="json"),
            edits=self._edits.name,
            edits_hash=self._edits.content_hash,
            n_edits=len(self._edits.train),
            curve=tuple(self._curve),
            step=self._best().step,
            network=self._best_network,
        )

    def _keep(self) -> None:
        """Writes everything that going on needs; the numbers first."""
        tensors = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        for index, state in self._adam.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        kept = save_tensors(self._folder / STATE_TENSORS, tensors)
        told = {
            "key": self._key,
            "step": self._step,
            "curve": [reading.model_dump(mode="json") for reading in self._curve],
            "best_network": self._best_network,
            "tensors": kept,
        }
        with replacing(self._folder / STATE) as path:
            path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    def _resume(self) -> None:
        """Goes on from where this very training was left, if it was."""
        path = self._folder / STATE
        if not path.is_file():
            return
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["key"] != self._key:
            self._progress.say(f"{self._folder} holds a training with other settings; it begins anew.")
            return
        try:
            tensors = load_tensors(self._folder / STATE_TENSORS, told["tensors"])
        except IntegrityError as error:
            self._progress.say(f"{error.message} Training begins anew.")
            return
        self._network.load_state_dict(
            {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
        )
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, index, field = name.split(".", 2)
                state.setdefault(int(index), {})[field] = tensor
        self._adam.load_state_dict({**self._adam.state_dict(), "state": state})
        self._step, self._best_network = told["step"], told["best_network"]
        self._curve = [Reading.model_validate(reading) for reading in told["curve"]]
        self._progress.say(f"training goes on after step {self._step}")


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)
