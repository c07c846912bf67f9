"""PNG files read back by two other readers."""

import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from synthforge.dataset.png import encode_png


def smooth_and_noise(seed, height, width, channels, dtype):
    """Rows that repeat, a ramp that wraps round, and noise: [H, W] or [H, W, 3]."""
    draws = np.random.default_rng(seed)
    shape = (height, width, channels)[: 2 + (channels > 1)]
    ramp = np.arange(np.prod(shape)).reshape(shape) * 37
    noise = draws.integers(0, np.iinfo(dtype).max + 1, shape)
    return np.where(draws.random(shape) < draws.random(), ramp, noise).astype(dtype)


images = st.builds(
    smooth_and_noise,
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.sampled_from([np.uint8, np.uint16]),
)


@given(images)
def test_opencv_reads_back_every_bit(image):
    stored = cv2.imdecode(np.frombuffer(encode_png(image), np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == image.dtype
    np.testing.assert_array_equal(stored if image.ndim == 2 else stored[..., ::-1], image)


@given(images.filter(lambda image: image.dtype == np.uint8 or image.ndim == 2))
def test_pillow_reads_back_every_bit(image):
    """All but 16-bit RGB, which it reads as 8-bit. It checks every CRC."""
    with Image.open(io.BytesIO(encode_png(image))) as opened:
        opened.load()
        assert opened.mode == {1: "L", 2: "I;16", 3: "RGB"}[image[0, 0].nbytes]
        np.testing.assert_array_equal(np.asarray(opened), image)


def test_any_memory_layout_and_any_thread_gives_the_same_bytes():
    image = smooth_and_noise(0, 64, 48, 3, np.uint8)
    expected = encode_png(image)
    layouts = [image, np.asfortranarray(image), image[..., ::-1].copy()[..., ::-1]]
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(encode_png, layouts * 8)) == {expected}


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.float32),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 0, 3), np.uint16),
    ],
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match="as PNG"):
        encode_png(image)
