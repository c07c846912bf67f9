"""The Hub's dataset card: a YAML header and the questions of a datasheet, answered.

After Gebru et al. (2021), Datasheets for Datasets.
"""

from __future__ import annotations

import json
from typing import Any

from synthforge.dataset.read import Dataset
from synthforge.labels import IMAGES, NUMBERS

# One past the largest of each of the Hub's size categories.
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}
_LARGEST = "1M<n<10M"


def hub_card(dataset: Dataset) -> str:
    """README.md."""
    card, recipe = dataset.card, dataset.card["recipe"]
    built_in = recipe.get("generator") == "mannequin"
    made_by = "SynthForge's built-in head" if built_in else "Next3D, driven by FLAME"
    return f"""---
{_header(card, len(dataset))}---

# Synthetic faces

{len(dataset)} synthetic faces with labels that nobody had to draw, made with
[SynthForge](https://arxiv.org/abs/2406.07840) by {made_by}.

```python
from datasets import load_dataset
faces = load_dataset("PATH", split="train")
faces[0]["image"], faces[0]["2d_kps"]
```

## Motivation

For training and testing networks that find landmarks, depth, parts or head parameters in images of
faces.

## Composition

A row is an image of one synthetic person. No person is real, and no photograph of one is in it.
There is one split. The samples of a number in `identity` show the same person.

| column | unit | meaning |
|---|---|---|
{_rows(dataset)}

## Collection

Drawn by a program from random numbers; the seed and all settings that fix the samples:

```json
{json.dumps(recipe, indent=1)}
```

## Preprocessing

None. {_gate(recipe)}

## Uses

What a network learns from rendered faces must be checked on photographs. The people are drawn from
a model's ranges: they stand for no real population, and fairness on real people cannot be measured
with them. Labels are of the bare head; columns of what is visible say so.

## Distribution

{card.get("licence", "")}

## Maintenance

Made anew by the same command; the recipe above is all that it needs.

## Citation

{card.get("citation", "")}
"""


def _header(card: dict[str, Any], count: int) -> str:
    spdx = card.get("licence_spdx", "")
    licence = {"license": spdx.lower()}
    if not spdx or spdx.startswith("LicenseRef-"):
        licence = {"license": "other", "license_name": spdx.removeprefix("LicenseRef-").lower()}
    size = next((name for limit, name in _SIZES.items() if count < limit), _LARGEST)
    lines = {
        "pretty_name": "Synthetic faces",
        **{name: text for name, text in licence.items() if text},
        "task_categories": ["image-segmentation", "depth-estimation", "keypoint-detection"],
        "tags": ["synthetic", "faces", "landmarks", "synthforge"],
        "size_categories": [size],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}
        ],
    }
    # JSON is YAML.
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items())


def _gate(recipe: dict[str, Any]) -> str:
    if recipe.get("detector", "none") == "none":
        return "All draws were kept."
    return (
        f"A detector ({recipe['detector']}) rejected draws whose landmarks it found too far from "
        "the labels."
    )


def _rows(dataset: Dataset) -> str:
    first = next(dataset.samples(dataset.indices[:1]))
    rows = [
        ("image" if folder == "images" else folder, IMAGES[folder].unit, IMAGES[folder].description)
        for folder in dataset.folders
        if folder in IMAGES
    ]
    rows += [
        (key, NUMBERS[key].unit, NUMBERS[key].description)
        for key in first.annotation
        if key in NUMBERS
    ]
    return "\n".join(f"| `{name}` | {unit} | {text} |" for name, unit, text in rows)
