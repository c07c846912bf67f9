"""Put the left half together, then mirror it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthforge.mannequin import (
    ears,
    eyes,
    face,
    mouth,
    region_outlines,
    skin_fill,
    skull,
    teeth,
    uv_layout,
)
from synthforge.mannequin.half_mesh import HalfMesh
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array

_EYE_RING_MARGINS = np.array([9.0, 6.8, 5.0, 3.6, 2.3, 1.1, 0.0]) * MM
_LIP_RING_MARGINS = np.array([8.0, 5.0, 2.4, 0.0]) * MM
# Depth of the nostril's rings: scale of the rim, up and back in mm.
_NOSTRIL_RINGS = ((0.86, 0.7, 0.9), (0.80, 3.0, 2.6), (0.66, 6.0, 4.5), (0.35, 8.0, 6.5))
# How far the charts of nested rings shrink towards their centre.
_LIP_CHART_SHRINK = 0.55
_EAR_CHART_SHRINK = 0.88
# Room on the texture for the end caps of teeth and tongue.
_CAP_UV = 0.006


@dataclass(frozen=True)
class Assembly:
    """The whole neutral head.

    vertices: (V, 3). faces: (F, 3). uvs: (T, 2). uv_faces: (F, 3). parts: (V,) of Part.
    jaw: (V,) int, +1 on what belongs to the upper lip or jaw, -1 to the lower, 0 elsewhere and at
        the corners of the mouth.
    mirror: (V,), each vertex's mirror image.
    rings: vertex ids of named rings of the left half.
    """

    vertices: Array
    faces: Array
    uvs: Array
    uv_faces: Array
    parts: Array
    jaw: Array
    mirror: Array
    rings: dict[str, Array]


Row = tuple[Array, Array]


def _grow(ring: Array, center: Array, margin: float) -> Array:
    """Move a ring (N, 2) away from `center` by `margin` metres."""
    offset = ring - center
    return center + offset * (1 + margin / np.linalg.norm(offset, axis=1, keepdims=True))


class _Builder:
    def __init__(self) -> None:
        self.mesh = HalfMesh()
        self.rings: dict[str, Array] = {}
        self.holes: list[Array] = []
        self.hole_rows: list[Row] = []
        self.jaw: list[tuple[Array, Array]] = []

    def assign_jaw(self, ids: Array, side: Array) -> None:
        self.jaw.append((ids, side))

    def row(self, points: Array, places: Array, part: Part) -> Row:
        return self.mesh.add(points, part), self.mesh.chart(places)

    def skin_row(self, front: Array, part: Part) -> tuple[Row, Array]:
        """A ring given as seen from the front (N, 2), laid onto the sculpted skin."""
        theta, level = skull.locate(front, skull.from_front, 0.3)
        points = face.sculpt(skull.surface(theta, level))
        points[:, 0] = np.where(front[:, 0] == 0, 0.0, points[:, 0])
        row = self.row(points, uv_layout.skin(theta, level), part)
        return row, np.stack([np.where(front[:, 0] == 0, 0.0, theta), level], -1)

    def skin_rows(self, rings: list[Array], closed: bool) -> list[Row]:
        """Nested rings on the skin; the first becomes a hole of the skin's filling."""
        rows: list[Row] = []
        for ring in rings:
            row, place = self.skin_row(ring, Part.SKIN)
            if rows:
                self.mesh.strip(rows[-1], row, closed)
            else:
                self.holes.append(place)
                self.hole_rows.append(row)
            rows.append(row)
        return rows

    def shrink(self, places: Array, center: Array, share: float) -> Array:
        return center + (places - center) * share

    def places(self, row: Row) -> Array:
        return np.concatenate(self.mesh.charts)[row[1]]

    def eye(self) -> None:
        rows = self.skin_rows([eyes.skin_ring(margin) for margin in _EYE_RING_MARGINS], True)
        self.rings["lid"] = rows[-1][0]
        self.rings["eye_region"] = rows[0][0]
        margin_places = self.places(rows[-1])
        center = margin_places.mean(0)
        previous = rows[-1]
        for name, points, share in zip(
            ("lid_edge", "lid_touching", "lid_hidden"),
            eyes.margin_rings(),
            (0.92, 0.80, 0.60),
            strict=True,
        ):
            row = self.row(points, self.shrink(margin_places, center, share), Part.LID_MARGIN)
            self.mesh.strip(previous, row, True)
            self.rings[name] = row[0]
            previous = row

    def nostril(self) -> None:
        rings = [face.nostril_contour(margin=1.1 * MM), face.nostril_contour()]
        rows = self.skin_rows(rings, True)
        rim, rim_places = self.mesh.points[-1], self.places(rows[-1])
        self.rings["nostril"] = rows[-1][0]
        center, chart_center = rim.mean(0), rim_places.mean(0)
        previous = rows[-1]
        for index, (scale, up, back) in enumerate(_NOSTRIL_RINGS):
            points = center + (rim - center) * scale + np.array([0, up, -back]) * MM
            places = self.shrink(rim_places, chart_center, 0.8 - 0.18 * index)
            row = self.row(points, places, Part.NOSTRIL)
            self.mesh.strip(previous, row, True)
            previous = row
        self.cap(previous, Part.NOSTRIL)

    def fan(self, row: Row, point: Array, place: Array, part: Part) -> None:
        """Sew a row to one new point."""
        tip = self.row(point[None], place[None], part)
        fans = (
            np.stack([ids[:-1], ids[1:], np.full(len(ids) - 1, top[0])], -1)
            for ids, top in zip(row, tip, strict=True)
        )
        self.mesh.sew(*fans)

    def cap(self, row: Row, part: Part) -> None:
        """Close a ring with a fan round its middle."""
        point = np.concatenate(self.mesh.points)[row[0]].mean(0)
        closed = (np.append(row[0], row[0][0]), np.append(row[1], row[1][0]))
        self.fan(closed, point, self.places(row).mean(0), part)

    def lips(self) -> None:
        border = mouth.border()
        rings = [_grow(border, mouth.CENTER, margin) for margin in _LIP_RING_MARGINS]
        for ring in rings:
            ring[[0, -1], 0] = 0.0
        rows = self.skin_rows(rings, False)
        self.mesh.parts[-1][:] = Part.LIPS
        self.rings["lip_border"] = rows[-1][0]
        self.assign_jaw(rows[-1][0], mouth.side())
        border_places = self.places(rows[-1])
        border_z = self.mesh.points[-1][:, 2]
        contact = mouth.contact()
        contact_skin = face.sculpt(skull.surface(*skull.locate(contact, skull.from_front, 0.3)))
        center = np.array([0.5, border_places[[0, -1], 1].mean()])
        previous = rows[-1]
        vermilion = mouth.vermilion_rings(border_z, contact_skin[:, 2])
        for index, points in enumerate(vermilion):
            share = 1 - _LIP_CHART_SHRINK * (index + 1) / len(vermilion)
            row = self.row(points, self.shrink(border_places, center, share), Part.LIPS)
            self.mesh.strip(previous, row, False)
            self.assign_jaw(row[0], mouth.side())
            previous = row
        self.rings["lip_contact"] = previous[0]
        self.cavity(previous[0], vermilion[-1])

    def cavity(self, contact_ids: Array, contact_points: Array) -> None:
        angle = np.linspace(0, np.pi, mouth.RING_POINTS)
        around = np.stack([np.sin(angle), np.cos(angle)], -1)
        around[[0, -1], 0] = 0.0
        rings = mouth.cavity_rings(contact_points)
        shares = np.linspace(1, 0.12, len(rings) + 1)
        seam = uv_layout.MOUTH_CENTER + around * uv_layout.MOUTH_RADIUS
        previous = (contact_ids, self.mesh.chart(seam))
        for index, (share, points) in enumerate(zip(shares[1:], rings, strict=True)):
            places = uv_layout.MOUTH_CENTER + around * uv_layout.MOUTH_RADIUS * share
            row = self.row(points, places, Part.INNER_MOUTH)
            self.mesh.strip(previous, row, False)
            self.assign_jaw(row[0], mouth.side())
            self.rings[f"cavity_{index}"] = row[0]
            previous = row
        pairs = np.arange(mouth.CORNER - 1)
        walls = []
        for ids in previous:
            above, below = ids, ids[::-1]
            walls.append(
                np.concatenate(
                    [
                        np.stack([above[pairs], above[pairs + 1], below[pairs]], -1),
                        np.stack([above[pairs + 1], below[pairs + 1], below[pairs]], -1),
                    ]
                )
            )
        self.mesh.sew(*walls)

    def ear(self) -> None:
        rings = ears.rings()
        theta, level = skull.locate(skull.from_side(rings[0]), skull.from_side, 1.6)
        for index, lift in enumerate(ears.lift()):
            below = skull.locate(skull.from_side(rings[index]), skull.from_side, 1.6)
            skin = face.sculpt(skull.surface(*below))
            rings[index] = skin + (rings[index] - skin) * lift[:, None]
        places = uv_layout.skin(theta, level)
        center = places.mean(0)
        self.holes.append(np.stack([theta, level], -1))
        previous = self.row(rings[0], places, Part.EAR)
        self.hole_rows.append(previous)
        self.rings["ear_attachment"] = previous[0]
        for index, points in enumerate(rings[1:], 1):
            share = 1 - _EAR_CHART_SHRINK * index / len(rings)
            row = self.row(points, self.shrink(places, center, share), Part.EAR)
            self.mesh.strip(previous, row, True)
            previous = row
        self.cap(previous, Part.EAR)

    def skin(self) -> None:
        new, triangles = skin_fill.fill(self.holes, 2, region_outlines.on_skull())
        theta, level = new.T
        points = face.sculpt(skull.surface(theta, level))
        points[(theta < 1e-9) | (theta > np.pi - 1e-9), 0] = 0.0
        crown = level > skull.crown_level() - 1e-9
        points[crown] = skull.surface(np.zeros(1), np.array([skull.crown_level()]))[0] * [0, 1, 1]
        rows = [*self.hole_rows, self.row(points, uv_layout.skin(theta, level), Part.SKIN)]
        ids, places = (np.concatenate([row[k] for row in rows]) for k in range(2))
        top = rows[-1][0][crown]
        welded = np.arange(self.mesh.vertex_count)
        welded[top] = top[0]
        faces, chart_faces = welded[ids[triangles]], places[triangles]
        sound = (
            (faces[:, 0] != faces[:, 1])
            & (faces[:, 1] != faces[:, 2])
            & (faces[:, 2] != faces[:, 0])
        )
        self.mesh.sew(faces[sound], chart_faces[sound])

    def teeth(self) -> None:
        for arch, corners in (
            (teeth.UPPER, uv_layout.UPPER_TEETH_BOX),
            (teeth.LOWER, uv_layout.LOWER_TEETH_BOX),
        ):
            first = self.mesh.vertex_count
            columns, gums = teeth.arch_rows(arch)
            # A section is a loop: its chart repeats the first point at the end.
            around = np.append(np.arange(teeth.SECTION_POINTS), 0)
            v = np.arange(len(around)) / (len(around) - 1)
            v = v if arch.up < 0 else 1 - v
            rows: list[Row] = []
            for index, column in enumerate(columns):
                u = np.full(len(around), index / (len(columns) - 1))
                ids = self.mesh.add(column, Part.TEETH)
                self.mesh.parts[-1] = np.where(gums[index], Part.GUMS, Part.TEETH)
                rows.append((ids[around], self.mesh.chart(uv_layout.box(corners, u, v))))
                if index:
                    self.mesh.strip(rows[-2], rows[-1], False)
            last = np.concatenate(self.mesh.points)[rows[-1][0]]
            end = self.places(rows[-1]).mean(0) + np.array([_CAP_UV, 0.0])
            self.fan(rows[-1], last[:-1].mean(0), end, Part.GUMS)
            ids = np.arange(first, self.mesh.vertex_count)
            self.assign_jaw(ids, np.full(len(ids), arch.up))

    def tongue(self) -> None:
        grid = teeth.tongue()
        first = self.mesh.vertex_count
        rows: list[Row] = []
        for index, points in enumerate(grid):
            v = np.full(len(points), 1 - index / (len(grid) - 1))
            u = np.linspace(0, 1, len(points))
            places = uv_layout.box(uv_layout.TONGUE_BOX, u, 1 - v)
            rows.append(self.row(points, places, Part.TONGUE))
            if index:
                self.mesh.strip(rows[-2], rows[-1], False)
        for row, beyond in ((rows[0], -_CAP_UV), (rows[-1], _CAP_UV)):
            middle = np.concatenate(self.mesh.points)[row[0]].mean(0) * [0, 1, 1]
            place = self.places(row).mean(0) + np.array([0.0, beyond])
            self.fan(row, middle, place, Part.TONGUE)
        ids = np.arange(first, self.mesh.vertex_count)
        self.assign_jaw(ids, np.full(len(ids), -1))

    def eyeball(self) -> None:
        points, triangles, disc, disc_triangles = eyes.eyeball()
        ids, places = self.row(
            points, uv_layout.EYEBALL_CENTER + disc * uv_layout.EYEBALL_RADIUS, Part.LEFT_EYEBALL
        )
        self.rings["eyeball"] = ids
        self.mesh.sew(ids[triangles], places[disc_triangles])


def assemble() -> Assembly:
    builder = _Builder()
    builder.eye()
    builder.nostril()
    builder.lips()
    builder.ear()
    builder.skin()
    builder.teeth()
    builder.tongue()
    builder.eyeball()
    jaw = np.zeros(builder.mesh.vertex_count, dtype=int)
    for ids, side in builder.jaw:
        jaw[ids] = side
    return _mirrored(builder.mesh, jaw, builder.rings)


def _mirrored(half: HalfMesh, jaw: Array, rings: dict[str, Array]) -> Assembly:
    points, parts = np.concatenate(half.points), np.concatenate(half.parts)
    charts = np.concatenate(half.charts)
    faces, chart_faces = np.concatenate(half.triangles), np.concatenate(half.chart_triangles)
    used = np.unique(faces)
    renumber = np.full(len(points), -1)
    renumber[used] = np.arange(len(used))
    points, parts, jaw, faces = points[used], parts[used], jaw[used], renumber[faces]
    used_charts = np.unique(chart_faces)
    renumber_charts = np.full(len(charts), -1)
    renumber_charts[used_charts] = np.arange(len(used_charts))
    charts, chart_faces = charts[used_charts], renumber_charts[chart_faces]

    middle = points[:, 0] == 0
    image = np.arange(len(points))
    image[~middle] = len(points) + np.arange(int((~middle).sum()))
    right_parts = np.where(parts == Part.LEFT_EYEBALL, Part.RIGHT_EYEBALL, parts)[~middle]
    mirror = np.concatenate([image, np.flatnonzero(~middle)])
    return Assembly(
        vertices=np.concatenate([points, points[~middle] * [-1, 1, 1]]),
        faces=np.concatenate([faces, image[faces][:, ::-1]]),
        uvs=np.concatenate([charts, [1, 0] + charts * [-1, 1]]).astype(np.float32),
        uv_faces=np.concatenate([chart_faces, chart_faces[:, ::-1] + len(charts)]),
        parts=np.concatenate([parts, right_parts]),
        jaw=np.concatenate([jaw, jaw[~middle]]),
        mirror=mirror,
        rings={name: renumber[ids] for name, ids in rings.items()},
    )
