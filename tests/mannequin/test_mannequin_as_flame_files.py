"""The built-in head, written as FLAME's own files, is the same head."""

import torch
from support_flame_files import write_flame_files

from flame_pytorch import FLAME, get_config
from flame_pytorch.files import read_uv_layout
from synthforge.mannequin import baked_head


def test_flame_runs_on_it_as_on_a_flame_file(tmp_path):
    built = baked_head()
    write_flame_files(
        tmp_path, built.model, built.embedding, uvs=built.uvs, uv_faces=built.uv_faces
    )
    config = get_config()
    config.flame_model_path = str(tmp_path / "generic_model.pkl")
    config.static_landmark_embedding_path = str(tmp_path / "landmark_embedding.npy")
    draws = torch.Generator().manual_seed(0)
    shape, expression, pose = (torch.randn(2, n, generator=draws) * 0.5 for n in (100, 50, 6))
    from_files = FLAME(config)(shape, expression, pose)
    from_arrays = FLAME.from_arrays(built.model, built.embedding)(shape, expression, pose)
    for ours, theirs in zip(from_files, from_arrays, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    uvs, uv_faces = read_uv_layout(tmp_path / "FLAME_texture.npz")
    assert uvs.shape == built.uvs.shape
    assert (uv_faces == built.uv_faces).all()
