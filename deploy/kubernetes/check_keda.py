#!/usr/bin/env python3
"""Reads manifests and checks the ScaledObjects in them by the model of the package cloudcoil-models-keda: types, missing fields, and
fields that KEDA does not know. Kubernetes' own schemas do not have them."""

import sys

import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject


def unknown(given, kept, path=""):
    """The paths of the fields in `given` that the model did not keep."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key in kept:
                yield from unknown(value, kept[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(given, list) and isinstance(kept, list):
        for index, (value, other) in enumerate(zip(given, kept)):
            yield from unknown(value, other, f"{path}[{index}]")


seen = problems = 0
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as manifests:
        for manifest in filter(None, yaml.safe_load_all(manifests)):
            if manifest["kind"] != "ScaledObject":
                continue
            seen += 1
            kept = ScaledObject.model_validate(manifest).model_dump(by_alias=True, exclude_none=True, mode="json")
            for field in unknown(manifest, kept):
                print(f"{file}: {manifest['metadata']['name']}: KEDA does not know {field}")
                problems += 1
if not seen:
    sys.exit("there is no ScaledObject")
sys.exit(1 if problems else 0)
