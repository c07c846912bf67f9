"""Crops and pastes by resize matrices, against torch's resize and plain slices."""

import numpy as np
import pytest
import support_next3d as support
import torch
import torch.nn.functional as F

from synthforge.next3d import Next3DConfig, mouth

CONFIG = Next3DConfig()


def resized(image, size):
    return F.interpolate(image, size, mode="bilinear", antialias=True)


@pytest.mark.parametrize("size", [64, 24, 128])
def test_resize_weights_match_the_real_resize(size):
    with np.load(support.GOLDEN_DIR / "units.npz") as goldens:
        want = torch.from_numpy(goldens[f"resize_aa_40_{size}"])
    image = torch.from_numpy(support.normal("unit:xx", (1, 3, 40, 40)))[:, : want.shape[1]]
    out_index, in_index = torch.arange(size)[None], torch.arange(40)[None]
    weights = mouth.resize_weights(out_index, size, in_index, 40)
    torch.testing.assert_close(mouth._apply(weights, image, weights), want, atol=1e-5, rtol=0)


BOXES = torch.tensor([[100, 160, 90, 150], [3, 130, 10, 137], [0, 256, 0, 256], [70, 71, 9, 40]])


def test_crop_and_paste_are_slices_and_resizes():
    random = torch.Generator().manual_seed(0)
    image = torch.randn(len(BOXES), 5, 256, 256, generator=random)
    patch = torch.randn(len(BOXES), 5, 256, 256, generator=random)
    cropped, pasted = mouth.crop(image, BOXES), mouth.paste(image, patch, BOXES)
    for i, (top, bottom, left, right) in enumerate(BOXES.tolist()):
        box = image[i : i + 1, :, top:bottom, left:right]
        torch.testing.assert_close(cropped[i], resized(box, (64, 64))[0], atol=1e-5, rtol=0)
        want = image[i].clone()
        want[:, top:bottom, left:right] = resized(patch[i : i + 1], (bottom - top, right - left))[0]
        torch.testing.assert_close(pasted[i], want, atol=1e-5, rtol=0)


def test_boxes_stay_inside_the_image_wherever_the_head_is():
    _, landmarks = support.heads()
    shifts = torch.tensor([[0.0, 0, 0], [0.2, 0, 0], [0, -0.3, 0], [5, 5, 0]])
    moved = landmarks[:1] + shifts[:, None]
    boxes = mouth.mouth_boxes(torch.cat([moved, torch.zeros(1, 68, 3)]), CONFIG)
    assert (boxes >= 0).all()
    assert (boxes <= 256).all()
    assert (boxes[:, 1] > boxes[:, 0]).all()
    assert (boxes[:, 3] > boxes[:, 2]).all()
    image = torch.ones(len(boxes), 2, 256, 256)
    assert mouth.crop(image, boxes).allclose(torch.ones(()), atol=1e-5)
    assert mouth.paste(image, image, boxes).allclose(torch.ones(()), atol=1e-5)


def test_a_mouth_higher_up_is_cut_further_up():
    _, landmarks = support.heads()
    raised = landmarks + torch.tensor([0.0, 10 / 128 / 5, 0])
    before, after = (mouth.mouth_boxes(x, CONFIG) for x in (landmarks, raised))
    assert (after[:, :2] - before[:, :2] - 10).abs().max() <= 1
    assert torch.equal(after[:, 2:], before[:, 2:])
