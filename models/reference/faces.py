"""Writes the fixtures for the tests of faces into faces/ beside itself.

    python faces.py YUNET.onnx PHOTO.png

Run on demand; needs the packages opencv-python-headless, onnx and numpy.

- yunet.json: what OpenCV's own FaceDetectorYN finds with the same network in the test photo at several sizes.
- gfpgan-1.4.onnx and parsenet.onnx: networks of a restorer's and a parser's shape that only do arithmetic, so that the
  way around them can be tested without their weights. The restorer turns x into 0.8 x + (0.1, 0, -0.1); the parser
  calls the middle of the face skin and the rest background. They say of themselves what installed models say.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent / "faces"
SIZES = [512, 256, 1024]


def opencv(network: str, photo: str) -> None:
    image = cv2.imread(photo)
    found = []
    for size in SIZES:
        scaled = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if size < 512 else cv2.INTER_CUBIC)
        detector = cv2.FaceDetectorYN.create(network, "", (size, size), 0.7, 0.3, 5000)
        _, faces = detector.detect(scaled)
        assert len(faces) == 1
        values = [round(float(value), 2) for value in faces[0]]
        landmarks = [values[at : at + 2] for at in range(4, 14, 2)]
        found.append({"size": size, "box": values[:4], "landmarks": landmarks, "score": values[14]})
    lines = ",\n".join(json.dumps(one) for one in found)
    (HERE / "yunet.json").write_text(f"[\n{lines}\n]\n")


def write(name: str, kind: str, nodes: list, weights: dict, channels: int) -> None:
    shape = lambda channels: ["N", channels, 512, 512]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape(3))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape(channels))],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    described = {"id": name, "kind": kind, "architecture": "test", "scale": "1", "source_sha256": "0" * 64}
    helper.set_model_props(model, {f"remaster.{key}": value for key, value in described.items()})
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


def main() -> None:
    HERE.mkdir(exist_ok=True)
    opencv(*sys.argv[1:])
    tint = np.array([0.1, 0.0, -0.1], np.float32).reshape(1, 3, 1, 1)
    nodes = [helper.make_node("Mul", ["input", "share"], ["dim"]), helper.make_node("Add", ["dim", "tint"], ["output"])]
    write("gfpgan-1.4", "face_restorer", nodes, {"share": np.float32(0.8), "tint": tint}, 3)

    # Likelihoods of 19 classes: the bell of each row times that of each column is skin's, a half is background's.
    bell = np.exp(-(((np.arange(512) - 256) / 150) ** 2)).astype(np.float32)
    zero = np.zeros((19, 3, 1, 1), np.float32)
    only = lambda at: (np.arange(19) == at).astype(np.float32).reshape(1, 19, 1, 1)
    nodes = [
        helper.make_node("Conv", ["input", "zero"], ["none"], kernel_shape=[1, 1]),
        helper.make_node("Mul", ["row", "column"], ["bell"]),
        helper.make_node("Mul", ["bell", "skin"], ["likely"]),
        helper.make_node("Add", ["likely", "half"], ["classes"]),
        helper.make_node("Add", ["none", "classes"], ["output"]),
    ]
    weights = {"zero": zero, "row": bell.reshape(1, 1, 512, 1), "column": bell.reshape(1, 1, 1, 512)}
    write("parsenet", "face_parser", nodes, weights | {"skin": only(1), "half": only(0) / 2}, 19)


if __name__ == "__main__":
    main()
