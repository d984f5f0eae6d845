"""Weights alone, under the pretrained network's key names; the network is rebuilt from ``candidate.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from search.errors import UserError
from search.model.formats._base import PLAIN, ModelFormat, Rebuild, Signature
from spaces.backbones._state_dicts import check_numbers
from spaces.networks.inference import InferenceNetwork


class Safetensors(ModelFormat):
    """https://huggingface.co/docs/safetensors: no code in the file, read without a copy."""

    name, file_name, rank = "safetensors", "model.safetensors", 0
    holds = "weights"
    runs_code = False
    moves = True
    tolerance = 1e-5
    needs = "ftsearch"

    def write(
        self,
        network: InferenceNetwork,
        example: Tensor,
        path: Path,
        facts: Mapping[str, str],
        signature: Signature = PLAIN,
    ) -> None:
        # Cloned: the format refuses tensors that share memory, as tied weights do.
        state = {name: value.detach().clone().contiguous() for name, value in network.named_state().items()}
        save_file(state, path, metadata={"format": "pt", **facts})

    def open(self, path: Path, rebuild: Rebuild) -> nn.Module:
        try:
            state = load_file(path)
        except SafetensorError as error:
            raise UserError(f"cannot read {path}: {error}; export the model again") from error
        check_numbers(state, str(path))
        return rebuild(state)

    def snippet(self, facts: Mapping[str, str]) -> str:
        is_text = facts.get("reads") == "tokens"
        given = facts.get("text", '"A text."') if is_text else 'Image.open("image.jpg").convert("RGB")'
        return (
            ("" if is_text else "from PIL import Image\n")
            + "from search.api import load_model\n\n"
            + 'model = load_model(".")\n'
            + f"given = {given}\n"
            + "outputs = model.network(model.transform(given)[None])   # a plain torch.nn.Module\n"
            + "(prediction,) = model.predicted(outputs, [given])\n"
        )


model_format = Safetensors()
