"""Small datasets whose labels have meaning, to export."""

import numpy as np
from support_dataset import CARD, sample

from synthforge.dataset.read import Dataset
from synthforge.dataset.write import DatasetWriter
from synthforge.regions import PALETTE, REGION_ID

SIZE = 8


def face(index, extras=()):
    """A sample whose regions are a face over a neck; all of its points but one lie inside."""
    drawn = sample(index, extras)
    ids = np.full((SIZE, SIZE), REGION_ID["background"])
    ids[1:5, 2:6] = REGION_ID["face"]
    ids[5:7, 3:5] = REGION_ID["neck"]
    drawn.files["seg"][:] = PALETTE[ids]
    points = np.random.default_rng(index).uniform(0, SIZE, (68, 2)).astype(np.float32)
    points[0] = -1.0, 3.0
    points[5] = 2.5, 3.5
    visible = np.ones(68, int)
    visible[[0, 7]] = 0
    drawn.annotation.update({"2d_kps": points, "kps_visible": visible})
    return drawn


def dataset_of(root, *indices, extras=(), numbers=None):
    card = CARD | {"licence_spdx": "MIT", "licence": "free", "citation": "us"}
    writer = DatasetWriter(
        root, card | {"recipe": CARD["recipe"] | {"extras": sorted(extras)}}, extras
    )
    writer.open()
    for index in indices:
        drawn = face(index, extras)
        drawn.annotation.update(numbers or {})
        writer.sink.write(drawn)
    writer.close()
    return Dataset(root)


def written(module, dataset, folder):
    """The folder, as `module.write` fills it."""
    folder.mkdir()
    module.write(dataset, dataset.samples(), folder)
    return folder
