"""Thumbnails of whole images, kept to notice what no other test looks at.

Look at the new ones before you commit them. To draw them again after a wanted change:
PYTHONPATH=.:tests python -m support_golden
"""

from pathlib import Path

import cv2
import numpy as np
import support_mannequin

from synthforge.mannequin.generator import Mannequin

PATH = Path(__file__).parent / "mannequin" / "golden" / "people.png"
PEOPLE, SIZE = 4, 96


def thumbnails():
    """uint8 [PEOPLE, SIZE, SIZE, 3], RGB."""
    images = Mannequin().generate(*support_mannequin.samples(PEOPLE)).to_uint8().numpy()
    small = (cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for image in images)
    return np.stack(list(small))


def golden():
    row = cv2.imdecode(np.frombuffer(PATH.read_bytes(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    return np.stack(np.split(row, PEOPLE, 1))


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(PATH), np.concatenate(list(thumbnails()), 1)[..., ::-1])
