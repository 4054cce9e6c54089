"""The training loop of an editor: batches of edits, Adam steps, validation and saving.

The trained module and its loss are defined by a `Learner`. For most methods the loss of an edit is
`edit_weight` times the cross-entropy of its target, at its prompt and at a paraphrase, plus `locality_weight`
times the KL divergence from the unedited model at an unrelated prompt, all with the edit applied (Mitchell
et al. 2022, section 3.3). The seed determines each step's batch and all random draws of a learner, so that an
interrupted training continues to the same curve.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.files import load_tensors, save_tensors
from sequela.core.hashing import hash_json
from sequela.core.locks import waiting_lock
from sequela.core.paths import ensure_writable
from sequela.core.progress import Progress
from sequela.core.seeding import seeded
from sequela.editors.training.artifact import Artifact, ValidationPoint, describe_artifact, save_network
from sequela.editors.training.examples import Examples, TrainingEdits
from sequela.editors.training.settings import TrainingSettings
from sequela.editors.training.trained_editor import AnyTrainedEditor
from sequela.models import LanguageModel

STATE = "training.json"
STATE_TENSORS = "training.safetensors"


class StoredTraining(BaseModel):
    """The state of a training, without the tensors: what is needed to resume it.

    Args:
        key: The hash of everything that must not differ.
        step: The number of steps done.
        curve: The validations so far.
        best_network: The hash of the network with the best validation.
        tensors: The hash of the tensors: the network, and Adam's state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    key: str
    step: int
    curve: tuple[ValidationPoint, ...]
    best_network: str
    tensors: str


class Training:
    """One training, which starts anew or resumes.

    Args:
        editor: The method.
        model: The unedited model.
        edits: The edits to train on, and the held-out ones.
        settings: The settings of the training.
        folder: The folder of the state and the artifact.
        progress: Receives messages and progress.
    """

    def __init__(
        self,
        editor: AnyTrainedEditor,
        model: LanguageModel,
        edits: TrainingEdits,
        settings: TrainingSettings,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._editor = editor
        self._model = model
        if model.offloaded:
            raise BadInputError(
                f"{editor.name} can't be trained on {model.name!r}, whose weights are offloaded.",
                hint="Train where the model fits the device; its network then serves anywhere.",
            )
        self._learner = editor.learner(model, settings.seed)
        self._learner.gradient_checkpointing = settings.gradient_checkpointing
        self._learner.cache_bytes = settings.cache_mib * 2**20
        self._network = self._learner.module
        self._edits = edits
        self._held_out = Examples.of(model, edits.held_out, "held out")
        self._settings = settings
        self._folder = folder
        self._progress = progress
        self._learned = [one for one in self._network.parameters() if one.requires_grad]
        self._adam = torch.optim.Adam(self._learned, lr=settings.lr)
        self._curve: list[ValidationPoint] = []
        self._step = 0
        self._since: list[float] = []
        self._best_network = ""

    @property
    def _key(self) -> str:
        """The hash of everything that must not differ when a training is resumed."""
        same = {"n_steps", "minutes", "patience", "micro_batch", "gradient_checkpointing", "cache_mib"}
        return hash_json(
            {
                "editor": self._editor.name,
                "editor_settings": self._editor.training_dependent_settings,
                "model": self._model.fingerprint,
                "edits": self._edits.content_hash,
                "settings": self._settings.model_dump(mode="json", exclude=same),
            }
        )

    def memory_bytes(self) -> int:
        """Returns an estimate of the training's memory in bytes, in addition to the model.

        It includes the trained parameters, their gradients and Adam's state, one step, and the cached passes
        over the held-out edits.
        """
        parameters = sum(parameter.numel() for parameter in self._network.parameters())
        sample = Examples.of(self._model, self._edits.train[: self._settings.batch_size], "memory")
        step = self._learner.activation_bytes(sample, self._settings)
        cached = min(self._learner.cache_bytes, self._learner.kept_bytes(self._held_out, self._settings))
        return 4 * 4 * parameters + step + cached

    def run(self) -> Artifact:
        """Trains until a limit on steps, minutes or patience is reached, and saves the best network.

        While another process trains in the folder, this one waits, and then goes on from there: a training
        that has reached its limit is not repeated.

        Returns:
            The description of the best network.
        """
        what = f"training {self._editor.name} for {self._model.name} in {self._folder}"
        ensure_writable(self._folder)
        with waiting_lock(self._folder / ".lock", what, self._progress):
            self._resume()
            return self._train()

    def _train(self) -> Artifact:
        started = time.perf_counter() - (self._curve[-1].seconds if self._curve else 0.0)
        task, reported = self._start(), self._done(started)
        self._progress.advance(task, reported)
        if not self._curve:
            self._validate(0.0)
        while self._step < self._settings.n_steps and not self._is_enough(started):
            self._since.append(self._one_step())
            self._step += 1
            done = self._done(started)
            self._progress.advance(task, done - reported)
            reported = done
            if self._step % self._settings.validate_every == 0:
                self._validate(time.perf_counter() - started)
        if self._curve[-1].step != self._step:
            self._validate(time.perf_counter() - started)
        self._progress.finish(task)
        artifact = self._artifact()
        describe_artifact(self._folder, artifact)  # again, with the validations after the best one
        return artifact

    def _start(self) -> int:
        """Starts the progress report: in seconds if the training's time is limited, otherwise in steps."""
        settings, name = self._settings, self._editor.name
        if settings.minutes is None:
            return self._progress.start(f"training {name}", settings.n_steps)
        return self._progress.start(f"training {name}, seconds", math.ceil(60 * settings.minutes))

    def _done(self, started: float) -> int:
        """Returns the progress so far, in the units of `_start`."""
        return self._step if self._settings.minutes is None else int(time.perf_counter() - started)

    def _one_step(self) -> float:
        """Takes one Adam step and returns its loss."""
        settings = self._settings
        batch = self._edits.batch(self._step, settings.batch_size, settings.seed)
        examples = Examples.of(self._model, batch, f"{settings.seed} {self._step}")
        self._adam.zero_grad()
        self._network.train()
        with seeded(settings.seed + self._step, self._model.device):
            loss = self._learner.backward(examples, settings)
        torch.nn.utils.clip_grad_norm_(self._learned, settings.clip)
        self._adam.step()
        return loss

    def _validate(self, seconds: float) -> None:
        self._network.eval()
        with torch.no_grad(), seeded(self._settings.seed, self._model.device):
            outcomes = list(self._learner.evaluate(self._held_out, self._settings))
        shares = [len(one) / len(self._held_out) for one in outcomes]
        edit_loss = sum(share * float(one.edit_loss) for share, one in zip(shares, outcomes, strict=True))
        kl = sum(share * float(one.kl) for share, one in zip(shares, outcomes, strict=True))
        point = ValidationPoint(
            step=self._step,
            seconds=seconds,
            train_loss=sum(self._since) / len(self._since) if self._since else None,
            loss=self._settings.edit_weight * edit_loss + self._settings.locality_weight * kl,
            efficacy=_share([one for outcome in outcomes for one in outcome.efficacy]),
            paraphrase=_share([one for outcome in outcomes for one in outcome.paraphrase]),
            locality=_share([one for outcome in outcomes for one in outcome.locality]),
            kl=kl,
        )
        self._since = []
        self._curve.append(point)
        self._progress.say(
            f"step {point.step}: loss {point.loss:.4f}, efficacy {point.efficacy:.2f}, "
            f"paraphrase {point.paraphrase:.2f}, locality {point.locality:.2f}"
        )
        if self._best() is point:
            self._best_network = save_network(self._folder, self._network)
            describe_artifact(self._folder, self._artifact())
        self._keep()

    def _best(self) -> ValidationPoint:
        losses = [point for point in self._curve if math.isfinite(point.loss)] or self._curve
        return min(losses, key=lambda point: point.loss)

    def _is_enough(self, started: float) -> bool:
        settings = self._settings
        if settings.minutes is not None and time.perf_counter() - started > 60 * settings.minutes:
            return True
        return len(self._curve) - 1 - self._curve.index(self._best()) >= settings.patience

    def _artifact(self) -> Artifact:
        return Artifact(
            editor=self._editor.name,
            base_fingerprint=self._model.fingerprint,
            base_name=self._model.name,
            settings=self._editor.training_dependent_settings,
            training=self._settings.model_dump(mode="json"),
            edits=self._edits.name,
            edits_hash=self._edits.content_hash,
            n_edits=len(self._edits.train),
            curve=tuple(self._curve),
            step=self._best().step,
            network=self._best_network,
        )

    def _keep(self) -> None:
        """Saves everything that is needed to resume; the tensors first."""
        tensors = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        for index, state in self._adam.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors_hash = save_tensors(self._folder / STATE_TENSORS, tensors)
        state = StoredTraining(
            key=self._key,
            step=self._step,
            curve=tuple(self._curve),
            best_network=self._best_network,
            tensors=tensors_hash,
        )
        write_description(self._folder / STATE, state)

    def _resume(self) -> None:
        """Resumes this training if the folder has its saved state."""
        path = self._folder / STATE
        if not path.is_file():
            return
        hint = "Delete it to train from the start."
        stored = read_description_of(path, StoredTraining, "a training", error=IntegrityError, hint=hint)
        if stored.key != self._key:
            self._progress.say(f"{self._folder} has a training with other settings; this one starts anew.")
            return
        try:
            tensors = load_tensors(self._folder / STATE_TENSORS, stored.tensors)
        except IntegrityError as error:
            self._progress.say(f"{error.message} Training starts anew.")
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
        self._step, self._best_network = stored.step, stored.best_network
        self._curve = list(stored.curve)
        self._progress.say(f"training resumes after step {self._step}")


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
