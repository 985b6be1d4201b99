"""Writes the fixtures that prove the import of PyTorch weights: small networks in the official layouts, and what
PyTorch makes of them.

Run on demand; needs the packages torch, spandrel, safetensors and numpy:

    python pytorch.py            writes the small fixtures into pytorch/ beside itself
    python pytorch.py FOLDER     writes the official sizes with seeded weights into FOLDER, for a check by hand

The networks are written down here by their papers, with the official names, and spandrel, which reads the official
files, has to make the same of the same weights. Each NAME.f32 holds the outputs for the shapes in SHAPES,
little-endian, one after the other; the input is `picture`, which the test computes as well. GFPGAN is spandrel's own
copy of the authors' class; its input is moved to -1..1.
"""

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from spandrel import ModelLoader
from spandrel.architectures.GFPGAN import GFPGAN
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent / "pytorch"
SHAPES = [(1, 3, 16, 20), (3, 3, 9, 13)]


def picture(shape: tuple[int, ...]) -> torch.Tensor:
    """Values in 0..1 that an integer formula gives, so that no file is needed."""
    at = np.arange(np.prod(shape), dtype=np.uint32)
    return torch.from_numpy(((at * np.uint32(2654435761)) >> 24).astype(np.float32) / 255).reshape(shape)


class Rdb(nn.Module):
    """Residual dense block."""

    def __init__(self, feat: int, grow: int):
        super().__init__()
        for k in range(1, 6):
            setattr(self, f"conv{k}", nn.Conv2d(feat + (k - 1) * grow, feat if k == 5 else grow, 3, 1, 1))

    def forward(self, x):
        seen = [x]
        for k in range(1, 5):
            seen.append(F.leaky_relu(getattr(self, f"conv{k}")(torch.cat(seen, 1)), 0.2))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class Rrdb(nn.Module):
    """Residual in residual dense block."""

    def __init__(self, feat: int, grow: int):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Rdb(feat, grow) for _ in range(3))

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RrdbNet(nn.Module):
    def __init__(self, feat: int, blocks: int, grow: int, shuffle: int):
        super().__init__()
        self.shuffle = shuffle
        self.conv_first = nn.Conv2d(3 * shuffle**2, feat, 3, 1, 1)
        self.body = nn.Sequential(*(Rrdb(feat, grow) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(feat, feat, 3, 1, 1)
        self.conv_up1 = nn.Conv2d(feat, feat, 3, 1, 1)
        self.conv_up2 = nn.Conv2d(feat, feat, 3, 1, 1)
        self.conv_hr = nn.Conv2d(feat, feat, 3, 1, 1)
        self.conv_last = nn.Conv2d(feat, 3, 3, 1, 1)

    def forward(self, x):
        height, width, scale = *x.shape[2:], 4 // self.shuffle
        x = F.pad(x, (0, -width % self.shuffle, 0, -height % self.shuffle), "reflect")
        feat = self.conv_first(F.pixel_unshuffle(x, self.shuffle))
        feat = feat + self.conv_body(self.body(feat))
        for conv in (self.conv_up1, self.conv_up2):
            feat = F.leaky_relu(conv(F.interpolate(feat, scale_factor=2, mode="nearest")), 0.2)
        out = self.conv_last(F.leaky_relu(self.conv_hr(feat), 0.2))
        return out[:, :, : height * scale, : width * scale]

    def last(self):
        return self.conv_last


class Srvgg(nn.Module):
    """SRVGGNetCompact."""

    def __init__(self, feat: int, convs: int, scale: int):
        super().__init__()
        self.scale = scale
        self.body = nn.ModuleList([nn.Conv2d(3, feat, 3, 1, 1), nn.PReLU(feat)])
        for _ in range(convs):
            self.body += [nn.Conv2d(feat, feat, 3, 1, 1), nn.PReLU(feat)]
        self.body.append(nn.Conv2d(feat, 3 * scale**2, 3, 1, 1))

    def forward(self, x):
        out = x
        for layer in self.body:
            out = layer(out)
        return F.pixel_shuffle(out, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")

    def last(self):
        return self.body[-1]


def seeded(network: nn.Module, seed: int, residual: bool) -> nn.Module:
    """Weights that let every layer matter: PyTorch's own are so small that the deep ones drown."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
        elif isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight, 0.05, 0.4)
    out = network(picture(SHAPES[0])).std()
    network.last().weight.mul_(0.15 / out)
    network.last().bias.fill_(0.0 if residual else 0.5)
    return network


def faces(batch: int, side: int) -> torch.Tensor:
    """`picture`, each darker than the one before, so that they ask for different styles."""
    return picture((batch, 3, side, side)) * (1 - 0.1 * torch.arange(batch)).reshape(-1, 1, 1, 1)


class Face(nn.Module):
    """GFPGAN as the graph has it: noise from its buffers, the image alone."""

    def __init__(self, **size):
        super().__init__()
        self.own = GFPGAN(**size)

    def forward(self, x):
        return self.own(x * 2 - 1, return_rgb=False, randomize_noise=False)[0]


def seeded_face(network: Face, seed: int, side: int) -> Face:
    torch.manual_seed(seed)
    for name, tensor in network.own.named_parameters():
        if name.endswith("modulation.bias"):
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif name.startswith("condition_scale") and name.endswith("2.bias"):
            nn.init.uniform_(tensor, 0.8, 1.2)
        elif name.endswith("bias") or tensor.numel() == 1:
            nn.init.uniform_(tensor, -0.2, 0.2)
        elif tensor.dim() == 4 and "constant" not in name:
            nn.init.kaiming_normal_(tensor, a=0.2)
        elif tensor.dim() == 5:
            nn.init.normal_(tensor, std=(tensor.shape[2] * tensor.shape[3] ** 2) ** -0.5)
    out = network(faces(3, side)).std()
    for name, tensor in network.own.named_parameters():
        if "to_rgb" in name and ("modulated_conv.weight" in name or name.endswith("bias") and "modulation" not in name):
            tensor.mul_(0.4 / out)
    return network


def write_face(folder: Path, name: str, network: Face, side: int, batches, dtype=torch.float32) -> None:
    print(name)
    weights = OrderedDict((key, tensor.to(dtype)) for key, tensor in network.own.state_dict().items())
    network.own.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    answers = [network(faces(batch, side)) for batch in batches]
    print("  ", *(f"{out.min():.3f}..{out.max():.3f}, std {out.std():.3f}" for out in answers))
    # The styles have to matter, or a mistake in them would not be seen.
    assert (answers[1][0] - answers[1][1]).abs().max() > 0.05
    torch.save({"params_ema": weights}, folder / name)
    flat = np.concatenate([answer.numpy().ravel() for answer in answers])
    flat.astype("<f4").tofile((folder / name).with_suffix(".f32"))


def outputs(network: nn.Module, weights: OrderedDict, shapes) -> list[np.ndarray]:
    """The outputs, held against spandrel's reading of the same weights; it takes no RRDBNet but of 32 growing features."""
    weights = {name: tensor.float() for name, tensor in weights.items()}
    network.load_state_dict(weights)
    known = weights.get("body.0.rdb1.conv1.bias", torch.zeros(32)).numel() == 32
    other = ModelLoader().load_from_state_dict(dict(weights)).model.eval() if known else network
    answers = []
    for shape in shapes:
        own, theirs = network(picture(shape)), other(picture(shape))
        worst = (own - theirs).abs().max().item()
        said = f"spandrel differs by {worst:.1e}" if known else "not read by spandrel"
        print(f"  {shape}: {own.min():.3f}..{own.max():.3f}, std {own.std():.3f}; {said}")
        assert worst < 1e-4 and own.isfinite().all() and own.abs().max() < 3
        answers.append(own.numpy())
    return answers


def write(folder: Path, name: str, network: nn.Module, save, shapes, dtype=torch.float32) -> None:
    print(name)
    weights = OrderedDict((key, tensor.to(dtype)) for key, tensor in network.state_dict().items())
    answers = outputs(network, weights, shapes)
    save(weights, folder / name)
    np.concatenate([answer.ravel() for answer in answers]).astype("<f4").tofile((folder / name).with_suffix(".f32"))


def under(key: str | None):
    return lambda weights, path: torch.save({key: weights} if key else weights, path)


@torch.no_grad()
def main() -> None:
    if len(sys.argv) > 1:
        folder, shapes = Path(sys.argv[1]), [(1, 3, 32, 40), (3, 3, 17, 23)]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, "x4plus.pth", seeded(RrdbNet(64, 23, 32, 1), 1, False), under("params_ema"), shapes)
        write(folder, "anime.pth", seeded(RrdbNet(64, 6, 32, 1), 4, False), under("params_ema"), shapes)
        write(folder, "x2plus.pth", seeded(RrdbNet(64, 23, 32, 2), 2, False), under("params_ema"), shapes)
        write(folder, "general-x4v3.pth", seeded(Srvgg(64, 32, 4), 3, True), under("params"), shapes)
        write(folder, "animevideov3.pth", seeded(Srvgg(64, 16, 4), 5, True), under("params"), shapes)
        size = dict(out_size=512, num_style_feat=512, channel_multiplier=2, narrow=1)
        write_face(folder, "gfpgan.pth", seeded_face(Face(**size), 6, 512), 512, (1, 3))
        return
    HERE.mkdir(exist_ok=True)
    write(HERE, "rrdbnet-x4.pth", seeded(RrdbNet(16, 2, 8, 1), 1, False), under("params_ema"), SHAPES)
    half = seeded(RrdbNet(16, 2, 8, 2), 2, False)
    write(HERE, "rrdbnet-x2.pth", half, under(None), SHAPES, torch.float16)
    write(HERE, "srvgg-x4.pth", seeded(Srvgg(16, 3, 4), 3, True), under("params"), SHAPES)
    brain = seeded(Srvgg(16, 3, 2), 4, True)
    write(HERE, "srvgg-x2.safetensors", brain, lambda w, path: save_file(dict(w), path), SHAPES, torch.bfloat16)
    size = dict(out_size=64, num_style_feat=16, channel_multiplier=1, narrow=1 / 32)
    write_face(HERE, "gfpgan.pth", seeded_face(Face(**size), 5, 64), 64, (1, 3))


if __name__ == "__main__":
    main()
