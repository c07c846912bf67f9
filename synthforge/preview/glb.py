"""glTF 2.0 binary files of one mesh (Khronos Group, glTF 2.0 specification, section 4.4)."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT, _UINT32 = 5126, 5125
_VERTICES, _INDICES = 34962, 34963


def encode_glb(
    vertices_m: NDArray[np.float32], normals: NDArray[np.float32], faces: NDArray[np.integer[Any]]
) -> bytes:
    """A GLB file. vertices_m, normals: [V, 3], y up, z out of the face. faces: [F, 3]."""
    arrays = [
        (np.ascontiguousarray(vertices_m, "<f4"), "VEC3", _FLOAT, _VERTICES),
        (np.ascontiguousarray(normals, "<f4"), "VEC3", _FLOAT, _VERTICES),
        (np.ascontiguousarray(faces, "<u4").reshape(-1), "SCALAR", _UINT32, _INDICES),
    ]
    views, accessors, offset = [], [], 0
    for number, (array, kind, component, target) in enumerate(arrays):
        views.append(
            {"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes, "target": target}
        )
        accessors.append(
            {
                "bufferView": number,
                "componentType": component,
                "count": len(array),
                "type": kind,
            }
        )
        offset += array.nbytes
    low_high = arrays[0][0].min(0).tolist(), arrays[0][0].max(0).tolist()
    accessors[0] |= dict(zip(("min", "max"), low_high, strict=True))
    primitive = {"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2}
    gltf = {
        "asset": {"version": "2.0", "generator": "synthforge"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "head"}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(gltf).encode()
    chunks = [(b"JSON", text + b" " * (-len(text) % 4))]
    chunks.append((b"BIN\0", b"".join(array.tobytes() for array, *_ in arrays)))
    body = b"".join(struct.pack("<I", len(data)) + kind + data for kind, data in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
