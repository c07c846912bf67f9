"""Settings of a FLAME layer, under the names of FLAME_PyTorch's configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FlameConfig:
    """What `FLAME` reads. Any object with these attributes serves.

    flame_model_path: the licensed model's pickle, from flame.is.tue.mpg.de.
    static_landmark_embedding_path: `landmark_embedding.npy`, which holds the contour as well, or
        `flame_static_embedding.pkl`, whose contour is in the next file.
    dynamic_landmark_embedding_path: `flame_dynamic_embedding.npy`; opened only if needed.
    shape_params, expression_params, pose_params: lengths of the parameter vectors.
    use_face_contour: put the 17 jaw points before the 51 inner ones.
    use_3D_translation: False makes the layer ignore `transl`.
    batch_size: kept for FLAME_PyTorch's users; the layer takes any batch.
    """

    flame_model_path: str = "model/generic_model.pkl"
    static_landmark_embedding_path: str = "model/landmark_embedding.npy"
    dynamic_landmark_embedding_path: str = "model/flame_dynamic_embedding.npy"
    shape_params: int = 100
    expression_params: int = 50
    pose_params: int = 6
    use_face_contour: bool = True
    use_3D_translation: bool = True
    batch_size: int = 8


def get_config() -> FlameConfig:
    """The defaults, free to be changed before `FLAME(config)`."""
    return FlameConfig()
