"""Writes the fixtures that prove the import of PyTorch weights: small networks in the official layouts, and what
PyTorch makes of them.

Run on demand; needs the packages torch, spandrel, facexlib, safetensors and numpy:

    python pytorch.py            writes the small fixtures into pytorch/ beside itself
    python pytorch.py FOLDER     writes the official sizes with seeded weights into FOLDER, for a check by hand

The networks are written down here by their papers, with the official names, and spandrel, which reads the official
files, has to make the same of the same weights. Each NAME.f32 holds the outputs for the shapes in SHAPES,
little-endian, one after the other; the input is `picture`, which the test computes as well. GFPGAN is spandrel's own
copy of the authors' class; its input is moved to -1..1. At full size RetinaFace and ParseNet have to make the same as
facexlib's classes; of ParseNet's output only every 73rd pixel of every 73rd row is kept. The files of these three are
written as PyTorch did before 1.6, as the official ones are: with addresses for keys, so that their bytes differ from
run to run, while their tensors do not.
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
    # Steering that multiplies by about 1: more would grow with every level, beyond what half precision can hold.
    seen = {}
    lasts = [parts[2] for parts in (*network.own.condition_scale, *network.own.condition_shift)]
    hooks = [layer.register_forward_hook(lambda layer, _, out: seen.update({layer: out})) for layer in lasts]
    network(faces(3, side))
    for layer, hook in zip(lasts, hooks):
        hook.remove()
        layer.weight.mul_(0.2 / (seen[layer] - layer.bias.reshape(1, -1, 1, 1)).std())
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
    torch.save({"params_ema": weights}, folder / name, _use_new_zipfile_serialization=False)
    flat = np.concatenate([answer.numpy().ravel() for answer in answers])
    flat.astype("<f4").tofile((folder / name).with_suffix(".f32"))


class Normed(nn.Sequential):
    """A convolution and a batch normalisation, under 0 and 1."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1):
        super().__init__(nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, middle: int, stride: int, first: bool):
        super().__init__()
        sizes = [(inputs, middle, 1, 1), (middle, middle, 3, stride), (middle, 4 * middle, 1, 1)]
        for k, (taken, given, side, step) in enumerate(sizes, 1):
            conv, norm = Normed(taken, given, side, step)
            setattr(self, f"conv{k}", conv)
            setattr(self, f"bn{k}", norm)
        self.downsample = Normed(inputs, 4 * middle, 1, stride) if first else nn.Identity()

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, width: int, blocks: tuple[int, ...]):
        super().__init__()
        self.conv1, self.bn1 = Normed(3, width, 7, 2)
        inputs = width
        for k, count in enumerate(blocks):
            middle = width << k
            steps = [Bottleneck(inputs if i == 0 else 4 * middle, middle, 2 if k and i == 0 else 1, i == 0) for i in range(count)]
            setattr(self, f"layer{k + 1}", nn.Sequential(*steps))
            inputs = 4 * middle

    def forward(self, x):
        x = self.layer1(F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1))
        maps = [self.layer2(x)]
        maps.append(self.layer3(maps[0]))
        return [*maps, self.layer4(maps[1])]


class Pyramid(nn.Module):
    def __init__(self, inputs: list[int], width: int):
        super().__init__()
        self.output1, self.output2, self.output3 = (Normed(channels, width, 1) for channels in inputs)
        self.merge1, self.merge2 = Normed(width, width, 3), Normed(width, width, 3)

    def forward(self, maps):
        one, two, three = (F.relu(conv(x)) for conv, x in zip((self.output1, self.output2, self.output3), maps))
        two = F.relu(self.merge2(two + F.interpolate(three, size=two.shape[2:], mode="nearest")))
        one = F.relu(self.merge1(one + F.interpolate(two, size=one.shape[2:], mode="nearest")))
        return one, two, three


class Context(nn.Module):
    """SSH."""

    def __init__(self, width: int):
        super().__init__()
        self.conv3X3 = Normed(width, width // 2, 3)
        self.conv5X5_1 = Normed(width, width // 4, 3)
        self.conv5X5_2, self.conv7X7_2, self.conv7x7_3 = (Normed(width // 4, width // 4, 3) for _ in range(3))

    def forward(self, x):
        small = F.relu(self.conv5X5_1(x))
        seven = self.conv7x7_3(F.relu(self.conv7X7_2(small)))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(small), seven], 1))


class Head(nn.Module):
    def __init__(self, width: int, values: int):
        super().__init__()
        self.conv1x1, self.values = nn.Conv2d(width, 2 * values, 1), values

    def forward(self, x):
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.values)


class RetinaFace(nn.Module):
    """RetinaFace over ResNet; gives boxes, confidences and landmarks by anchor."""

    def __init__(self, width: int, blocks: tuple[int, ...], pyramid: int):
        super().__init__()
        self.body = ResNet(width, blocks)
        self.fpn = Pyramid([width * 8, width * 16, width * 32], pyramid)
        self.ssh1, self.ssh2, self.ssh3 = (Context(pyramid) for _ in range(3))
        for name, values in (("ClassHead", 2), ("BboxHead", 4), ("LandmarkHead", 10)):
            setattr(self, name, nn.ModuleList(Head(pyramid, values) for _ in range(3)))

    def forward(self, x):
        maps = self.fpn(self.body(x))
        maps = [ssh(x) for ssh, x in zip((self.ssh1, self.ssh2, self.ssh3), maps)]
        joined = lambda heads: torch.cat([head(x) for head, x in zip(heads, maps)], 1)
        return joined(self.BboxHead), joined(self.ClassHead).softmax(-1), joined(self.LandmarkHead)


class Mirrored(nn.Module):
    """A 3x3 convolution inside a mirrored border, at the image's size, halved or doubled."""

    def __init__(self, inputs: int, outputs: int, resize: str = "keep", normed: bool = False):
        super().__init__()
        self.resize = resize
        self.conv2d = nn.Conv2d(inputs, outputs, 3, 2 if resize == "halve" else 1, bias=not normed)
        if normed:
            self.norm = nn.ModuleDict({"norm": nn.BatchNorm2d(outputs)})

    def forward(self, x):
        if self.resize == "double":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"))
        return self.norm["norm"](x) if hasattr(self, "norm") else x


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, resize: str = "keep"):
        super().__init__()
        self.shortcut_func = nn.Identity() if resize == "keep" else Mirrored(inputs, outputs, resize)
        self.conv1 = Mirrored(inputs, outputs, "double" if resize == "double" else "keep", True)
        self.conv2 = Mirrored(outputs, outputs, "halve" if resize == "halve" else "keep", True)

    def forward(self, x):
        return self.shortcut_func(x) + self.conv2(F.leaky_relu(self.conv1(x), 0.2))


class ParseNet(nn.Module):
    """`widths` of the encoder's levels, `depth` blocks at the smallest, and the same widths back."""

    def __init__(self, widths: tuple[int, ...], depth: int):
        super().__init__()
        steps = list(zip(widths, widths[1:]))
        self.encoder = nn.Sequential(Mirrored(3, widths[0]), *(Block(one, other, "halve") for one, other in steps))
        self.body = nn.Sequential(*(Block(widths[-1], widths[-1]) for _ in range(depth)))
        self.decoder = nn.Sequential(*(Block(other, one, "double") for one, other in reversed(steps)))
        self.out_img_conv = Mirrored(widths[0], 3)
        self.out_mask_conv = Mirrored(widths[0], 19)

    def forward(self, x):
        coded = self.encoder(x)
        return (self.out_mask_conv(self.decoder(coded + self.body(coded))),)


def settled(network: nn.Module, seed: int, example: torch.Tensor, heads) -> nn.Module:
    """Seeded weights; the normalisations know what goes through them, as after training."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -0.1, 0.1)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
            layer.momentum = None
    for layer in network.modules():
        if isinstance(layer, (Bottleneck, Block)):
            # Branches that add up would grow with the depth.
            last = layer.bn3 if isinstance(layer, Bottleneck) else layer.conv2.norm["norm"]
            last.weight.mul_(0.3)
    network.train()(example)
    network.eval()
    for layer, out in zip(heads, network(example)):
        for conv in layer:
            conv.weight.mul_(1 / out.std())
    return network


def write_finder(folder: Path, name: str, network: nn.Module, inputs, keep, other=None, dtype=torch.float32) -> None:
    """Every output of every input, one behind the other."""
    print(name)
    weights = OrderedDict((key, tensor.to(dtype) if tensor.is_floating_point() else tensor) for key, tensor in network.state_dict().items())
    network.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    if other is not None:
        other.load_state_dict(network.state_dict())
    answers = []
    for x in inputs:
        own = network(x)
        if other is not None:
            print("   facexlib differs by", max((a - b).abs().max().item() for a, b in zip(own, other(x))))
        print("  ", *(f"{tuple(out.shape)} {out.min():.2f}..{out.max():.2f}, std {out.std():.2f}" for out in own))
        answers += [keep(out).numpy().ravel() for out in own]
    torch.save(weights, folder / name, _use_new_zipfile_serialization=False)
    np.concatenate(answers).astype("<f4").tofile((folder / name).with_suffix(".f32"))


def retinaface(folder: Path, network: RetinaFace, shapes, other=None, dtype=torch.float32) -> None:
    means = torch.tensor([104.0, 117.0, 123.0]).reshape(1, 3, 1, 1)
    inputs = [picture(shape) * 255 - means for shape in shapes]
    heads = [[head.conv1x1 for head in heads] for heads in (network.BboxHead, network.ClassHead, network.LandmarkHead)]
    network = settled(network, 7, inputs[0], heads)
    # The official file was written from several devices.
    whole = nn.Module()
    whole.module = network
    whole.forward = network.forward
    write_finder(folder, "retinaface.pth", whole, inputs, lambda out: out, other, dtype)


def parsenet(folder: Path, network: ParseNet, other=None, dtype=torch.float32) -> None:
    inputs = [faces(batch, 512) * 2 - 1 for batch in (1, 3)]
    network = settled(network, 8, inputs[0], [[network.out_mask_conv.conv2d]])
    write_finder(folder, "parsenet.pth", network, inputs, lambda out: out[:, :, ::73, ::73], other, dtype)


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
        from facexlib.detection.retinaface import RetinaFace as TheirRetinaFace
        from facexlib.parsing.parsenet import ParseNet as TheirParseNet

        theirs = nn.Module()
        theirs.module = TheirRetinaFace(device="cpu")
        theirs.forward = theirs.module.forward
        finder = RetinaFace(64, (3, 4, 6, 3), 256)
        retinaface(folder, finder, [(1, 3, 256, 320), (3, 3, 133, 171)], theirs)
        parsenet(folder, ParseNet((64, 128, 256, 256, 256), 10), TheirParseNet(512, 512).eval())
        return
    HERE.mkdir(exist_ok=True)
    write(HERE, "rrdbnet-x4.pth", seeded(RrdbNet(16, 2, 8, 1), 1, False), under("params_ema"), SHAPES)
    half = seeded(RrdbNet(16, 2, 8, 2), 2, False)
    write(HERE, "rrdbnet-x2.pth", half, under(None), SHAPES, torch.float16)
    strong, weak = seeded(Srvgg(16, 3, 4), 3, True), seeded(Srvgg(16, 3, 4), 6, True)
    write(HERE, "srvgg-x4.pth", strong, under("params"), SHAPES)
    write(HERE, "srvgg-x4-weak.pth", weak, under("params"), SHAPES)
    # A mixture has its own answer, and no file of weights.
    first, second = strong.state_dict(), weak.state_dict()
    mixed = OrderedDict((key, 0.35 * first[key] + 0.65 * second[key]) for key in first)
    answers = outputs(strong, mixed, SHAPES)
    np.concatenate([answer.ravel() for answer in answers]).astype("<f4").tofile(HERE / "srvgg-x4-mixed.f32")
    brain = seeded(Srvgg(16, 3, 2), 4, True)
    write(HERE, "srvgg-x2.safetensors", brain, lambda w, path: save_file(dict(w), path), SHAPES, torch.bfloat16)
    size = dict(out_size=64, num_style_feat=16, channel_multiplier=1, narrow=1 / 32)
    write_face(HERE, "gfpgan.pth", seeded_face(Face(**size), 5, 64), 64, (1, 3))
    retinaface(HERE, RetinaFace(4, (2, 2, 1, 1), 68), [(1, 3, 64, 96), (3, 3, 45, 37)], dtype=torch.float16)
    parsenet(HERE, ParseNet((8, 12, 16, 20, 24), 2), dtype=torch.float16)


if __name__ == "__main__":
    main()
