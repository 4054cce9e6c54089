"""A tiny model as on PyPI: a GGUF file inside wheels that pip can find in a folder."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

from sequela.models import LanguageModel
from sequela.models.aliases import PackagedModel, Wheel
from support.tiny import tiny_language_model
from support.tokenizers import byte_level

_TENSORS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
    "model.layers": "blk",
}


def write_gguf(path: Path, architecture: str = "llama") -> LanguageModel:
    """Writes the tiny Llama as a GGUF file, its matrices as Q8_0; returns the original model."""
    model = tiny_language_model("llama")
    config, tokenizer = model.module.config, byte_level()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    inner = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(inner["vocab"], key=inner["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if t == "<|end|>" else gguf.TokenType.NORMAL for t in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in inner["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    for name, parameter in model.module.named_parameters():
        _add_tensor(writer, name, parameter.numpy(), config.num_attention_heads, config.num_key_value_heads)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def package(gguf_file: Path, folder: Path, parts: int = 1, terms: str | None = None) -> PackagedModel:
    """Puts a GGUF file into wheels in `folder`, for pip with `PIP_NO_INDEX` and `PIP_FIND_LINKS`."""
    content = gguf_file.read_bytes()
    size = -(-len(content) // parts)
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    return PackagedModel(
        alias="tiny-model",
        title="A tiny model",
        parameters=1,
        license="none",
        wheels=tuple(_wheel(folder, number, piece) for number, piece in enumerate(pieces)),
        sha256=hashlib.sha256(content).hexdigest(),
        terms=terms,
    )


def _wheel(folder: Path, number: int, content: bytes) -> Wheel:
    name, information = f"tiny_gguf_part{number}", f"tiny_gguf_part{number}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    files: Sequence[tuple[str, bytes]] = (
        (f"{name}/model.gguf", content),
        (f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()),
        (f"{information}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (f"{information}/RECORD", b""),
    )
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in files:
            archive.writestr(member, data)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(f"tiny-gguf-part{number}==1.0", sha256, f"{name}/model.gguf", len(content))


def _add_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray, heads: int, kv_heads: int) -> None:
    """Adds a tensor; GGUF interleaves the halves of rotary queries and keys in each head."""
    if "q_proj" in name or "k_proj" in name:
        n = heads if "q_proj" in name else kv_heads
        values = values.reshape(n, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
    for long, short in _TENSORS.items():
        name = name.replace(long, short)
    if values.ndim == 1:
        writer.add_tensor(name, values)
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
