"""Distances of paraphrases and neighbors from the keys of their edits, at the projection of GRACE.

    SEQUELA_DATA=<folder> python benchmarks/key_distances.py --edits 100 --radii 1 6 10 15 20

Prints quantiles of the Euclidean distances (minimum, 10 %, median, 90 %, maximum) and, for each radius, the
shares of paraphrases and neighbors within it, as a line of JSON.
"""

from __future__ import annotations

import argparse
import json

import torch

from sequela.core.progress import SILENT
from sequela.editors import create_editor
from sequela.editors.presets import with_preset
from sequela.edits import Edit, load_edits
from sequela.models import LanguageModel, load_model, tokenize_prompt
from sequela.models.forward.activations import Site, read_activations
from sequela.models.forward.batch import pad_right

QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
N_PARAPHRASES, N_NEIGHBORS = 2, 3


def main() -> None:
    """Computes the keys and prints the distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--source", default="counterfact")
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--radii", type=float, nargs="+", default=[1.0, 6.0, 10.0, 15.0, 20.0])
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    (layer,) = with_preset(create_editor("grace"), model, SILENT).layers_of(model)
    edits = load_edits(arguments.source, limit=arguments.edits)
    keys = keys_of(model, layer, [edit.question for edit in edits])
    paraphrase, neighbor = [], []
    for edit, key in zip(edits, keys, strict=True):
        paraphrases, neighbors = probes_of(edit)
        paraphrase += (keys_of(model, layer, paraphrases) - key).norm(dim=-1).tolist()
        neighbor += (keys_of(model, layer, neighbors) - key).norm(dim=-1).tolist()
    others = torch.cdist(keys, keys).fill_diagonal_(torch.inf).amin(dim=-1)
    distances = {
        "norm": keys.norm(dim=-1),
        "paraphrase": torch.tensor(paraphrase),
        "neighbor": torch.tensor(neighbor),
        "nearest_other_edit": others,
    }
    quantiles = {name: one.quantile(torch.tensor(QUANTILES)).tolist() for name, one in distances.items()}
    within = {
        radius: {
            name: float((distances[name] <= radius).float().mean()) for name in ("paraphrase", "neighbor")
        }
        for radius in arguments.radii
    }
    print(json.dumps({"layer": layer, "n": len(edits), "quantiles": quantiles, "within": within}))


def probes_of(edit: Edit) -> tuple[list[str], list[str]]:
    """Returns an edit's first paraphrases and the prompts of its first neighbors."""
    neighbors = [probe.prompt for probe in edit.neighborhood[:N_NEIGHBORS]]
    return list(edit.paraphrases[:N_PARAPHRASES]), neighbors


def keys_of(model: LanguageModel, layer: int, prompts: list[str]) -> torch.Tensor:
    """Returns the MLP output projection's inputs at each prompt's last token, `[prompts, d_ff]`."""
    site = Site("key", layer)
    read = []
    for prompt in prompts:
        ids = tokenize_prompt(model.tokenizer, prompt).ids
        read.append(
            read_activations(model, pad_right([ids], model.pad_id, model.device), [site])[site][0, -1]
        )
    return torch.stack(read) if read else torch.zeros(0, model.key_size, device=model.device)


if __name__ == "__main__":
    main()
