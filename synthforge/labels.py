"""The one table of labels: what each folder of a dataset holds, and each key of an annotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ImageLabel:
    """Images of one folder, PNG files.

    name: also of the folder and, for an extra, of the option. channels: 3 are RGB.
    source: what it is drawn from: the generated image, the head's mesh, the generator's volume, or
        its layers, which tell what each pixel of the image shows.
    unit: of a stored value.
    """

    name: str
    dtype: Literal["uint8", "uint16"]
    channels: Literal[1, 3]
    source: Literal["image", "mesh", "volume", "layers"]
    unit: str
    description: str
    is_extra: bool = True

    @property
    def png(self) -> str:
        """Its kind of PNG, in words."""
        return ("8" if self.dtype == "uint8" else "16") + "-bit" + " RGB" * (self.channels == 3)


@dataclass(frozen=True)
class NumberLabel:
    """A key of the annotation. shape: () is one number."""

    name: str
    shape: tuple[int, ...]
    unit: str
    description: str


IMAGE_LABELS = (
    ImageLabel("images", "uint8", 3, "image", "sRGB", "the face", is_extra=False),
    ImageLabel(
        *("seg", "uint8", 3, "mesh", "palette"),
        "the regions in exact palette colours, never blended",
        is_extra=False,
    ),
    ImageLabel(
        *("depth", "uint8", 1, "mesh", "the image's own"),
        "z-depth in generator units = near + value / 255 * (far - near), near and far in the "
        "annotation's depth_range; background 255",
        is_extra=False,
    ),
    ImageLabel("seg_id", "uint8", 1, "mesh", "region id", "region ids, 19 is background"),
    ImageLabel(
        *("depth16", "uint16", 1, "mesh", "0.0001 m"),
        "z-depth in metres = value * 0.0001; 0 where there is nothing",
    ),
    ImageLabel(
        *("normals", "uint8", 3, "mesh", "1/127.5"),
        "surface normal in the camera frame, (n + 1) / 2 * 255; background 0",
    ),
    ImageLabel(
        *("uv", "uint16", 3, "mesh", "1/65535"),
        "texture coordinates u, v; blue is 65535 where anything is seen",
    ),
    ImageLabel(
        *("volume_depth", "uint16", 1, "volume", "0.0001 m"),
        "the generator's own depth, as depth16, at the generator's resolution: Next3D's with hair "
        "and shoulders, the mannequin's of the bare head",
    ),
    ImageLabel(
        *("seg_visible", "uint8", 1, "layers", "class id"),
        "what fills most of each pixel, with hair, clothes and all: regions, or classes from 20 on",
    ),
    ImageLabel(
        *("alpha", "uint8", 1, "layers", "1/255"),
        "how much of each pixel the person fills, with all that is worn",
    ),
    ImageLabel(
        *("depth16_visible", "uint16", 1, "layers", "0.0001 m"),
        "as depth16, of what seg_visible names",
    ),
    ImageLabel("parsing_lapa", "uint8", 1, "layers", "class id", "seg_visible in LaPa's classes"),
    ImageLabel(
        *("parsing_celebamask", "uint8", 1, "layers", "class id"),
        "seg_visible in CelebAMask-HQ's classes",
    ),
    ImageLabel(
        *("parsing_facesynthetics", "uint8", 1, "layers", "class id"),
        "seg_visible in the classes of Face Synthetics",
    ),
)

IMAGES = {label.name: label for label in IMAGE_LABELS}
CORE = tuple(label.name for label in IMAGE_LABELS if not label.is_extra)
EXTRAS = tuple(label.name for label in IMAGE_LABELS if label.is_extra)

NUMBER_LABELS = (
    NumberLabel("2d_kps", (68, 2), "px", "keypoints, pixel centres at +0.5, iBUG order"),
    NumberLabel("3d_kps", (68, 3), "generator units", "keypoints in the camera frame"),
    NumberLabel(
        *("kps_visible", (68,), ""),
        "1 unless the head itself hides the point or it is outside the image; a jaw point within "
        "4 px of the seen outline is on it",
    ),
    NumberLabel(
        *("kps_occluded", (68,), ""),
        "1 where something else than the head hides the point: most of its pixel shows hair, "
        "clothes or the like, and nearer",
    ),
    NumberLabel("depth_range", (2,), "generator units", "near and far of depth"),
    NumberLabel(
        *("camera_params", (25,), "generator units, image widths"),
        "camera to generator world (4x4), then K (3x3)",
    ),
    NumberLabel("fov_deg", (), "deg", "the camera's diagonal field of view"),
    NumberLabel("yaw_rad", (), "rad", "the camera's yaw as drawn"),
    NumberLabel("pitch_rad", (), "rad", "the camera's pitch as drawn"),
    NumberLabel("z", (512,), "", "the generator's latent"),
    NumberLabel("flame_shape", (100,), "standard deviations", "identity coefficients"),
    NumberLabel(
        *("flame_exp", (50,), ""),
        "expression coefficients; dataset.json says what they are",
    ),
    NumberLabel("flame_pose", (6,), "rad", "global and jaw rotation, axis-angle"),
    NumberLabel("flame_neck_pose", (3,), "rad", "neck joint, axis-angle"),
    NumberLabel("flame_eye_pose", (6,), "rad", "left and right eye joints, axis-angle"),
    NumberLabel(
        *("head_rotation", (3, 3), ""),
        "rotation to the camera frame from the head's axes: x to its left, y up, z out of the face",
    ),
    NumberLabel(
        *("head_euler_deg", (3,), "deg"),
        "yaw, pitch and roll of the head as the camera sees it; 0, 0, 0 looks into the camera",
    ),
    NumberLabel(
        *("gaze", (2, 3), ""),
        "unit vectors along the left and the right eye's axis, camera frame",
    ),
    NumberLabel(
        *("eye_centers", (2, 3), "generator units"),
        "centres of the left and the right eyeball, camera frame",
    ),
    NumberLabel(
        *("eye_opening", (2,), ""),
        "of the left and the right eye: height over width between its six keypoints, in 3D",
    ),
    NumberLabel("age_years", (), "years", "built-in head: age"),
    NumberLabel("sex", (), "", "built-in head: 0 is female, 1 male"),
    NumberLabel("weight", (), "", "built-in head: 0 thin to 1 heavy, for that age and sex"),
    NumberLabel("ancestry", (3,), "", "built-in head: shares that sum to 1"),
    NumberLabel(
        *("face_actions", (52,), ""),
        "built-in head: activations of ARKit's face actions, 0 to 1",
    ),
    NumberLabel("glasses", (), "", "built-in head: 0 none, 1 clear, 2 tinted"),
    NumberLabel(
        *("headwear", (), ""), "built-in head: 0 none, 1 cap, 2 beanie, 3 hat, 4 headscarf"
    ),
    NumberLabel("mask", (), "", "built-in head: 0 none, 1 medical mask"),
    NumberLabel("earrings", (), "", "built-in head: 0 none, 1 studs, 2 hoops, 3 pendants"),
    NumberLabel(
        *("occluders", (), ""),
        "built-in head, before the face: 0 nothing, 1 microphone, 2 phone, 3 cup",
    ),
    NumberLabel("bystanders", (), "", "built-in head: 1 if another person is in the background"),
    NumberLabel("hair", (), "", "with --hair: place of the style in dataset.json's hair"),
    NumberLabel(
        *("hair_color", (), ""),
        "with --hair_color: place of the colour in dataset.json's hair_color",
    ),
    NumberLabel("identity", (), "", "samples of one number show the same person"),
    NumberLabel("expression", (), "", "number of what the face does, or its place in a list"),
    NumberLabel("view", (), "", "number of the camera and head pose, or its place in a list"),
    NumberLabel("light", (), "", "number of the light and backdrop"),
    NumberLabel("seed", (), "", "what the sample was drawn from: the run's seed"),
    NumberLabel("index", (), "", "what the sample was drawn from: its number"),
    NumberLabel("attempt", (), "", "what the sample was drawn from: draws rejected before it"),
    NumberLabel("fan_kps", (68, 2), "px", "with a detector, fan or another: its keypoints"),
    NumberLabel("mse", (), "px", "with a detector: mean distance of its keypoints from 2d_kps"),
)

NUMBERS = {label.name: label for label in NUMBER_LABELS}

# Further keypoints by the names that --keypoints takes, and how many; None: as many as the head has
# vertices. synthforge.keypoints has what they are.
SCHEMES = {"ibug70": 70, "wflw98": 98, "mediapipe468": 468, "mediapipe478": 478, "vertices": None}
# What an annotation holds of each, N points.
SCHEME_LABELS = (
    ("2d_kps_SCHEME", "N x 2", "px", "keypoints, as 2d_kps"),
    ("3d_kps_SCHEME", "N x 3", "generator units", "keypoints, as 3d_kps"),
    (
        *("kps_visible_SCHEME", "N", ""),
        "as kps_visible; a point of an eyeball is hidden by a lid 1 mm before it",
    ),
)
