"""One run of a peer: reads a picture, enlarges it, writes a PNG.

    python peer.py NAME INPUT OUTPUT ONNX THREADS [SCALE]
"""

import sys

import numpy as np
from PIL import Image

import tiles
import weights

# What the authors of the usual servers suggest where memory is short.
TILE = 400


def pytorch(onnx_file, threads, bfloat16):
    import torch
    from spandrel import ModelLoader

    torch.set_num_threads(threads)
    model = ModelLoader().load_from_state_dict(weights.state_dict(onnx_file)).model.eval()
    if bfloat16:
        model = model.to(torch.bfloat16).to(memory_format=torch.channels_last)

    def run(part):
        with torch.inference_mode():
            value = torch.from_numpy(part)
            if bfloat16:
                value = value.to(torch.bfloat16).to(memory_format=torch.channels_last)
            return model(value).float().numpy()

    return run


def ncnn(threads):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    param, weights_file = weights.ncnn_files()
    assert net.load_param(str(param)) == 0 and net.load_model(str(weights_file)) == 0

    def run(part):
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(part[0]).clone())
        _, out = extractor.extract(net.output_names()[0])
        return np.array(out)[None]

    return run


def main():
    name, source, target, onnx_file, threads, *scale = sys.argv[1:]
    threads = int(threads)
    run = ncnn(threads) if name == "ncnn" else pytorch(onnx_file, threads, name == "pytorch-bf16")
    picture = np.asarray(Image.open(source).convert("RGB"))
    Image.fromarray(tiles.enlarge(picture, TILE, run, int((scale or [4])[0]))).save(target)


if __name__ == "__main__":
    main()
