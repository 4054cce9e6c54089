"""A small model that is trained on an invented world, so that editors can be tested on learned facts.

Thirty-two invented people have five relations to invented places, trades and games. A small Llama is trained
on sentences about them until it completes nearly every fact. That takes about half a minute on one core; the
model is stored in a folder, under a hash of the recipe.
"""

from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from sequela.core.hashing import hash_json
from sequela.core.locks import waiting_lock
from sequela.edits import Edit, EditSet, Probe
from sequela.models import LanguageModel

RECIPE = 1
"""The version of the training, to be raised for changes that the fields below don't contain."""
SETTINGS = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
}
FAMILIES: dict[str, tuple[type[PretrainedConfig], dict[str, int]]] = {
    "llama": (LlamaConfig, {}),
    "gemma3": (Gemma3TextConfig, {"head_dim": 32, "sliding_window": 64, "pad_token_id": 0}),
}
"""The configuration of each family, and the settings that it has in addition."""
ROW = 64
"""The number of tokens per training row."""
ROWS_PER_STEP = 16
STEPS = 400
LEARNING_RATE = 3e-3
OTHER_WEIGHT = 0.1
"""The weight in the loss of a token outside the answer; an answer's token has the weight 1."""
KNOWN_SHARE = 0.95
"""The share of facts that must be completed for the training to end."""

FIRST_NAMES = ("Mira", "Tovan", "Elsbet", "Rurik", "Sanna", "Ilmar", "Oda", "Castor")
LAST_NAMES = ("Dolvan", "Keswick", "Harrow", "Brandt")


@dataclass(frozen=True)
class Relation:
    """A question that has one answer for every person.

    Args:
        name: The name of the relation.
        phrasings: Prompts with `{}` for the person; the answer and a full stop follow. The last one ends
            with the person: so small a model recalls facts at the position before the answer, and only
            there does an edit at the subject have an effect.
        answers: The possible answers.
    """

    name: str
    phrasings: tuple[str, ...]
    answers: tuple[str, ...]


RELATIONS = (
    Relation(
        "lives_in",
        (
            "{} lives in the city of",
            "The home of {} is in the city of",
            "{} has a house in the city of",
            "Hometown of {}",
        ),
        ("Karsk", "Velmor", "Ostrava", "Lindhaven", "Tarragon", "Quillport", "Nesmere", "Bradwick"),
    ),
    Relation(
        "speaks",
        ("{} speaks the language", "The mother tongue of {} is", "At home {} talks in", "Language of {}"),
        ("Veldish", "Orran", "Kashtic", "Lumeric", "Tannese", "Sorvian"),
    ),
    Relation(
        "works_as",
        ("{} works as a", "The profession of {} is that of a", "{} earns money as a", "Trade of {}"),
        ("baker", "surgeon", "carpenter", "pilot", "teacher", "gardener", "judge", "sailor"),
    ),
    Relation(
        "plays",
        (
            "{} likes to play the",
            "The instrument of {} is the",
            "In the orchestra {} plays the",
            "Instrument of {}",
        ),
        ("cello", "flute", "trumpet", "harp", "drum", "violin"),
    ),
    Relation(
        "drinks",
        (
            "{} always drinks",
            "The favorite drink of {} is",
            "In the evening {} orders a glass of",
            "Drink of {}",
        ),
        ("cider", "coffee", "lemonade", "milk", "brandy", "water"),
    ),
)


@dataclass(frozen=True)
class Fact:
    """One person's answer in one relation."""

    person: str
    relation: Relation
    answer: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """Returns the fact in every phrasing."""
        return tuple(
            f"{phrasing.replace('{}', self.person)} {self.answer}." for phrasing in self.relation.phrasings
        )


@dataclass(frozen=True)
class World:
    """All facts, in a fixed order."""

    facts: tuple[Fact, ...]

    def edits(self, count: int, phrasing: int = 0) -> EditSet:
        """Returns edits of `count` facts in one phrasing: different people, the relations in turn."""
        chosen = [
            next(fact for fact in self.facts if fact.person == person and fact.relation == relation)
            for person, relation in zip(self._people(), itertools.cycle(RELATIONS), strict=False)
        ][:count]
        return EditSet("world", tuple(self._edit(fact, phrasing) for fact in chosen))

    def _people(self) -> list[str]:
        return list(dict.fromkeys(fact.person for fact in self.facts))

    def _edit(self, fact: Fact, phrasing: int) -> Edit:
        answers = fact.relation.answers
        new = answers[(answers.index(fact.answer) + 3) % len(answers)]
        asked = fact.relation.phrasings[phrasing]
        others = [other for other in fact.relation.phrasings if other != asked]
        neighbors = [
            other
            for other in self.facts
            if other.relation == fact.relation and other.person != fact.person and other.answer == fact.answer
        ]
        return Edit(
            id=f"{fact.person}/{fact.relation.name}".replace(" ", "-"),
            subject=fact.person,
            prompt=asked,
            target_new=new,
            target_true=fact.answer,
            paraphrases=tuple(phrasing.replace("{}", fact.person) for phrasing in others),
            neighborhood=tuple(
                Probe(prompt=asked.replace("{}", other.person), answer=other.answer)
                for other in neighbors[:4]
            ),
            source="world",
        )


def build_world() -> World:
    """Assigns the answers, always in the same way."""
    dealer = random.Random(20)
    people = [f"{first} {last}" for last in LAST_NAMES for first in FIRST_NAMES]
    dealer.shuffle(people)
    facts = []
    for relation in RELATIONS:
        deck = list(itertools.islice(itertools.cycle(relation.answers), len(people)))
        dealer.shuffle(deck)
        facts += [Fact(person, relation, answer) for person, answer in zip(people, deck, strict=True)]
    return World(tuple(facts))


def trained_world_model(world: World, cache: Path, family: str = "llama") -> Path:
    """Returns the folder of the trained model; trains it if it isn't in the cache.

    Raises:
        AssertionError: The trained model does not know the facts.
    """
    recipe: dict[str, object] = {
        **({} if family == "llama" else {"family": family, "more": FAMILIES[family][1]}),
        "recipe": RECIPE,
        "settings": SETTINGS,
        "training": [ROW, ROWS_PER_STEP, STEPS, LEARNING_RATE],
        "facts": [asdict(fact) for fact in world.facts],
    }
    folder = cache / hash_json(recipe)
    with waiting_lock(
        cache / "training.lock", "training the world model"
    ):  # tests may run in several processes
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as unfinished:
                _train_into(Path(unfinished), world, family)
                Path(unfinished, "model").rename(folder)
    return folder


def _train_into(folder: Path, world: World, family: str) -> None:
    tokenizer = _tokenizer([sentence for fact in world.facts for sentence in fact.sentences])
    module = _trained(world.facts, tokenizer, family)
    known = known_share(LanguageModel.wrap(module, tokenizer, "world"), world)
    assert known >= KNOWN_SHARE, f"The world model completes only {known:.0%} of its facts."
    module.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")


def load_world_model(folder: Path) -> LanguageModel:
    """Loads a new copy of the trained model."""
    module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return LanguageModel.wrap(module, AutoTokenizer.from_pretrained(folder, local_files_only=True), "world")


@torch.no_grad()
def known_share(model: LanguageModel, world: World) -> float:
    """Returns the share of sentences whose answer the model generates completely."""
    right = [_completes(model, sentence, fact.answer) for fact in world.facts for sentence in fact.sentences]
    return sum(right) / len(right)


def _completes(model: LanguageModel, sentence: str, answer: str) -> bool:
    ids = model.tokenizer(sentence)["input_ids"]
    asked = len(model.tokenizer(sentence.removesuffix(f" {answer}."))["input_ids"])
    best = model.module(torch.tensor([ids])).logits[0].argmax(dim=-1).tolist()
    return bool(best[asked - 1 : -1] == ids[asked:])


def _tokenizer(sentences: list[str]) -> PreTrainedTokenizerFast:
    """Returns a byte-level BPE tokenizer, so small that names and answers are several tokens long."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        show_progress=False,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False
    )


def _rows(
    facts: Sequence[Fact], tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[list[int], list[float]]]:
    """Yields training rows of `ROW` tokens with weights: concatenated sentences in random order.

    Most of a sentence is unpredictable; its low weight leaves the loss to the answers.
    """
    dealer = random.Random(1)
    ids: list[int] = []
    weights: list[float] = []
    while True:
        for fact in dealer.sample(facts, len(facts)):
            sentence = dealer.choice(fact.sentences)
            glue = " " if ids and dealer.random() < 0.7 else ""
            if ids and not glue:
                ids.append(tokenizer.eos_token_id)
                weights.append(OTHER_WEIGHT)
            text = glue + sentence
            encoded = tokenizer(text, return_offsets_mapping=True)
            start = len(text) - len(fact.answer) - 2
            ids += encoded["input_ids"]
            weights += [1.0 if at >= start else OTHER_WEIGHT for at, _ in encoded["offset_mapping"]]
            if len(ids) >= ROW:
                yield ids[:ROW], weights[:ROW]
                ids, weights = [], []


def _trained(facts: Sequence[Fact], tokenizer: PreTrainedTokenizerFast, family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    config_class, more = FAMILIES[family]
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    config = config_class(**{**SETTINGS, "vocab_size": len(tokenizer), **tokens, **more})
    module: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    optimizer = torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    rows = _rows(facts, tokenizer)
    module.train()
    for _ in range(STEPS):
        drawn = [next(rows) for _ in range(ROWS_PER_STEP)]
        ids = torch.tensor([ids for ids, _ in drawn])
        weights = torch.tensor([weights for _, weights in drawn])[:, 1:]
        logits = module(ids).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    module.eval()
    return module
