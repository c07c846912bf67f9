"""The recipe fixes the samples: one value changed is another recipe, which a writer refuses.

So do the alignment's check and the training cache, which go by the same fingerprints.
"""

import copy
import dataclasses
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import support_next3d
import torch
from support_flame_heads import random_embedding, random_head
from support_like import faces

from flame_pytorch import FLAME
from synthforge.alignment import AlignmentError, AlignmentMLP, published_alignment
from synthforge.alignment_weights import AlignmentOrigin, load_alignment, save_alignment
from synthforge.assembly import Rig
from synthforge.config import PartsConfig, RunConfig
from synthforge.dataset import card
from synthforge.dataset.card import dataset_card
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.sample import Sample
from synthforge.dataset.write import DatasetWriter
from synthforge.detectors import Detector
from synthforge.distributions import Range
from synthforge.fitting.drawing import SampleSource
from synthforge.grid import Grid
from synthforge.head import Head
from synthforge.like import Like
from synthforge.mannequin import baked_head
from synthforge.mannequin import generator as mannequin_module
from synthforge.mannequin.generator import Mannequin
from synthforge.mesh import Topology
from synthforge.next3d import Next3DGenerator
from synthforge.next3d import generator as next3d_module
from synthforge.sampling import SAMPLE_FORMAT
from synthforge.sampling_config import HAIR, NEXT3D_SAMPLING, PoseLimit, SamplingConfig

CPU = torch.device("cpu")
HEAD_ANGLES = ("head_yaw_rad", "head_pitch_rad", "head_roll_rad")
WEAR = ("glasses", "headwear", "mask", "earrings", "occluders", "bystanders")
ATTRIBUTES = ("age_years", "sex", "weight", "african", "asian", "caucasian")
RUN = RunConfig(output_dir=Path(), num_images=1)
NETWORK = replace(support_next3d.TINY, neural_rendering_resolution=8)
MODEL, EMBEDDING = random_head(), random_embedding()
UVS = torch.rand(40, 2, generator=torch.Generator().manual_seed(0))


def head(model=MODEL, embedding=EMBEDDING, uvs=UVS, uv_faces=None, regions=None, has_uvs=True):
    faces = torch.tensor(model.faces)
    return Head(
        FLAME.from_arrays(model, embedding),
        Topology(faces, uvs, torch.tensor(MODEL.faces) if uv_faces is None else uv_faces),
        torch.arange(len(faces)) % 19 if regions is None else regions,
        has_uvs,
    )


def changed(array):
    """The last value of an array or tensor, another by as little as counts."""
    other = array.clone() if isinstance(array, torch.Tensor) else array.copy()
    at = (-1,) * other.ndim
    if str(other.dtype).rpartition(".")[2].startswith("float"):
        other[at] += 1e-5 * (1 + abs(other[at]))
    else:
        other[at] = (other[at] + 1) % 3
    assert (other != array).sum() == 1
    return other


def arrays_of(record):
    """Fields of a dataclass that are arrays, by name."""
    return {name: value for name, value in vars(record).items() if isinstance(value, np.ndarray)}


# --- What may differ ------------------------------------------------------------------------------


def other_heads():
    """Name -> the head with one value of that array changed."""
    heads = {}
    for name, array in arrays_of(MODEL).items():
        if name != "shapedirs":
            heads[name] = head(replace(MODEL, **{name: changed(array)}))
    for component in (0, 99, 300, 349):
        shapedirs = MODEL.shapedirs.copy()
        shapedirs[-1, -1, component] += 1e-5
        heads[f"shapedirs {component}"] = head(replace(MODEL, shapedirs=shapedirs))
    for name, array in arrays_of(EMBEDDING).items():
        heads[name] = head(embedding=replace(EMBEDDING, **{name: changed(array)}))
    plain = head()
    heads["uvs"] = head(uvs=changed(UVS))
    heads["uv_faces"] = head(uv_faces=changed(plain.topology.uv_faces))
    heads["regions"] = head(regions=changed(plain.face_regions))
    heads["has_uvs"] = head(has_uvs=False)
    heads["use_face_contour"] = head()
    heads["use_face_contour"].flame.use_face_contour = False
    return heads


HEADS = other_heads()
MESH = Detector("mesh", print, 13.0)


def rig(**parts):
    defaults = {
        "device": CPU,
        "head": head(),
        "generator": SimpleNamespace(name="next3d", fingerprint="f"),
        "alignment": published_alignment(),
        "detector": None,
        "sampling": NEXT3D_SAMPLING,
    }
    return Rig(**(defaults | parts))


def faces_in_photographs():
    return Like(faces(2))


def other_ranges():
    """Each range with another end."""
    for field in dataclasses.fields(SamplingConfig):
        old = getattr(NEXT3D_SAMPLING, field.name)
        other = {
            "age_years": Range(20, 30),
            "grid": Grid(identities=2),
            "pose_limit": PoseLimit(1, 1, 1),
            "face_size": Range(0.3, 0.4),
            "cut": 1e-6,
            "hair": ("bob",),
            "hair_color": ("red",),
            "like": faces_in_photographs(),
        }
        new = Range(0, 1)
        if field.name in other:
            new = other[field.name]
        elif isinstance(old, float):
            new = old + 1e-6
        elif old is not None:
            new = Range(old.low, old.high + 1e-6)
        yield field.name, replace(NEXT3D_SAMPLING, **{field.name: new})


def other_weights(activation):
    """A small network with one value of one tensor changed, or none."""
    mlp = AlignmentMLP(activation=activation)
    with torch.no_grad():
        for weight in mlp.parameters():
            weight.copy_(torch.linspace(-1, 1, weight.numel()).view_as(weight))
    yield "", mlp
    for name, weight in mlp.state_dict().items():
        other = AlignmentMLP(activation=activation)
        other.load_state_dict({**mlp.state_dict(), name: changed(weight)})
        yield f"{activation} {name}", other


PARTS = {
    **{f"head {name}": {"head": other} for name, other in HEADS.items()},
    **{f"range {name}": {"sampling": other} for name, other in other_ranges()},
    "published alignment": {"alignment": AlignmentMLP()},
    "generator": {"generator": SimpleNamespace(name="next3d", fingerprint="g")},
    "generator's name": {"generator": SimpleNamespace(name="mannequin", fingerprint="f")},
    "detector": {"detector": MESH},
    "detector's name": {"detector": replace(MESH, name="fan")},
    "threshold": {"detector": replace(MESH, reject_px=9.0)},
}
RUN_SETTINGS = [{"seed": 1}, {"extras": ("uv",)}]
PARTS_SETTINGS = [
    {"truncation_psi": 0.5},
    {"truncation_cutoff": 13},
    {"precision": "bf16"},
    {"variant": "original"},
]


# --- Recipes --------------------------------------------------------------------------------------


def test_the_recipe_by_value():
    made_with = rig(detector=MESH)
    A = [[1.01956, 0.00574, -0.01967], [-0.01988, 0.96937, -0.00984], [0.00716, 0.07973, 0.98803]]
    recipe = dataset_card(replace(RUN, extras=("uv", "depth16")), made_with)["recipe"]
    alignment = recipe.pop("alignment")
    np.testing.assert_allclose(alignment["A"], A, rtol=1e-6)
    np.testing.assert_allclose(alignment["b"], [0.00115, 0.04870, -0.01416], rtol=1e-6)
    turned, still = {"low": -0.8, "high": 0.8}, {"low": 0, "high": 0}
    assert recipe == {
        "sample_format": SAMPLE_FORMAT,
        "seed": 0,
        "generator": "next3d",
        "generator_fingerprint": "f",
        "head_fingerprint": made_with.head.fingerprint,
        "sampling": {
            "shape": {"low": -2, "high": 2},
            "expression": {"low": -2, "high": 2},
            **dict.fromkeys(["jaw_rad", *HEAD_ANGLES], still),
            **dict.fromkeys(["yaw_rad", "pitch_rad"], turned),
            "fov_deg": {"low": 18, "high": 24},
            **dict.fromkeys(ATTRIBUTES),
            **dict.fromkeys(WEAR, 0.0),
            **dict.fromkeys(HAIR),
            "grid": None,
            **dict.fromkeys(["pose_limit", "face_size", "offset_x", "offset_y"]),
            "cut": 0.0,
            "like": None,
        },
        "truncation_psi": 0.7,
        "truncation_cutoff": 14,
        "variant": "front",
        "precision": None,
        "detector": "mesh",
        "reject_px": 13.0,
        "extras": ["depth16", "uv"],
        "image_size": 512,
    }


def write_one(root, made_with, run=RUN):
    writer = DatasetWriter(root, dataset_card(run, made_with))
    writer.open()
    images = {folder: np.zeros((8, 8, 3), np.uint8) for folder in ("images", "seg", "depth")}
    writer.sink.write(Sample(0, images, {"index": 0}))
    writer.close()


@pytest.mark.parametrize("name", PARTS)
def test_a_writer_refuses_another_part(name, tmp_path):
    write_one(tmp_path, rig())
    write_one(tmp_path, rig())
    with pytest.raises(DatasetError, match="made with another"):
        DatasetWriter(tmp_path, dataset_card(RUN, rig(**PARTS[name])))


@pytest.mark.parametrize("setting", RUN_SETTINGS + PARTS_SETTINGS, ids=str)
def test_a_writer_refuses_another_setting(setting, tmp_path):
    write_one(tmp_path, rig())
    of_run = setting in RUN_SETTINGS
    run = replace(RUN, **setting) if of_run else RUN
    other = rig() if of_run else rig(parts=PartsConfig(**setting))
    with pytest.raises(DatasetError, match=f"made with another {next(iter(setting))}"):
        DatasetWriter(tmp_path, dataset_card(run, other))


def test_a_writer_refuses_another_sample_format(tmp_path, monkeypatch):
    write_one(tmp_path, rig())
    monkeypatch.setattr(card, "SAMPLE_FORMAT", card.SAMPLE_FORMAT + 1)
    with pytest.raises(DatasetError, match="made with another sample_format"):
        DatasetWriter(tmp_path, dataset_card(RUN, rig()))


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_every_weight_of_the_alignment_is_in_the_recipe(activation):
    recipes = {
        name: str(dataset_card(RUN, rig(alignment=mlp))["recipe"])
        for name, mlp in other_weights(activation)
    }
    assert len(recipes) == 5
    assert len(set(recipes.values())) == len(recipes)


# --- Fingerprints ---------------------------------------------------------------------------------


def test_heads_differ_and_equal_heads_do_not():
    prints = {name: other.fingerprint for name, other in HEADS.items()}
    assert len({head().fingerprint, *prints.values()}) == len(HEADS) + 1
    assert head().fingerprint == head().fingerprint


def test_every_tensor_of_a_head_is_in_its_fingerprint():
    """As they live, so that one that is added later counts too."""
    made = head()
    parts = {**dict(made.flame.named_buffers()), "face_regions": made.face_regions}
    parts |= {name: part for name, part in vars(made.topology).items() if name != "faces"}
    before = made.fingerprint
    for name, tensor in parts.items():
        old = tensor.clone()
        tensor.copy_(changed(tensor))
        assert made.fingerprint != before, name
        tensor.copy_(old)
    assert made.fingerprint == before


def test_what_cpus_round_differently_is_not_in_a_heads_fingerprint():
    """The built-in head's arrays differ in the last bits of float64 from CPU to CPU."""

    def nudge(array):
        up = np.random.default_rng(0).integers(-2, 3, array.shape)
        return array + up * np.spacing(np.maximum(abs(array), 1e-3))

    # A symmetric head has joints at x = 0, where the smallest difference is many bits.
    v_template, J_regressor = MODEL.v_template.copy(), np.zeros_like(MODEL.J_regressor)
    v_template[1] = v_template[0] * [-1, 1, 1]
    J_regressor[:, :2] = 0.5
    even = replace(MODEL, v_template=v_template, J_regressor=J_regressor)
    names = ("v_template", "shapedirs", "posedirs")
    model = replace(even, **{name: nudge(getattr(even, name)) for name in names})
    assert (J_regressor @ v_template)[0, 0] == 0 != (J_regressor @ model.v_template)[0, 0]
    assert head(model).fingerprint == head(even).fingerprint


def test_every_tensor_of_next3d_is_in_its_fingerprint(monkeypatch):
    """All are handed to `fingerprint`; some are changed, as hashing all for each takes long."""
    network = copy.deepcopy(support_next3d.generator(NETWORK))
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    assert {*network.state_dict(), "faces", "face_uvcoords", "uv_face_mask"} <= set(tensors)
    some = ["faces", "face_uvcoords", "uv_face_mask", *sorted(tensors)[::40]]
    seen = {Next3DGenerator(network).fingerprint}
    with torch.no_grad():
        for name in some:
            old = tensors[name].clone()
            tensors[name].copy_(changed(old))
            seen.add(Next3DGenerator(network).fingerprint)
            tensors[name].copy_(old)
    assert len(seen) == 1 + len(some)
    monkeypatch.setattr(next3d_module, "fingerprint", lambda tensors, settings: tensors)
    hashed = {id(tensor) for tensor in Next3DGenerator(network).fingerprint.values()}
    assert hashed >= {id(tensor) for tensor in tensors.values()}


def test_the_settings_of_next3d_are_in_its_fingerprint():
    network = support_next3d.generator(NETWORK)
    seen = {Next3DGenerator(network).fingerprint}
    for config in (replace(NETWORK, ray_end=3.5), replace(NETWORK, fill_mouth=False)):
        network.config = config
        seen.add(Next3DGenerator(network).fingerprint)
    network.config, network.variant = NETWORK, "original"
    seen.add(Next3DGenerator(network).fingerprint)
    assert len(seen) == 4


MANNEQUIN_ARRAYS = ["uvs", "uv_faces", "face_region", "vertex_piece", "adult"]
MANNEQUIN_ARRAYS += [f"model.{name}" for name in arrays_of(MODEL)]
MANNEQUIN_ARRAYS += [f"embedding.{name}" for name in arrays_of(EMBEDDING)]


@pytest.mark.parametrize("name", MANNEQUIN_ARRAYS)
def test_every_array_of_the_built_in_head_is_in_the_mannequins_fingerprint(name, monkeypatch):
    before = Mannequin().fingerprint
    built = baked_head()
    part, _, field = name.rpartition(".")
    owner = getattr(built, part) if part else built
    other = replace(owner, **{field: changed(getattr(owner, field))})
    monkeypatch.setattr(
        mannequin_module, "baked_head", lambda: replace(built, **{part: other}) if part else other
    )
    assert Mannequin().fingerprint != before


def test_the_mannequins_code_and_displacement_are_in_its_fingerprint(monkeypatch):
    moved = Mannequin(displacement=(torch.eye(3), torch.zeros(3)))
    further = Mannequin(displacement=(torch.eye(3), torch.tensor([0, 0, 1e-6])))
    seen = {Mannequin().fingerprint, moved.fingerprint, further.fingerprint}
    monkeypatch.setattr(mannequin_module, "SAMPLE_FORMAT", -1)
    assert len(seen | {Mannequin().fingerprint}) == 4


# --- Who else goes by them ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["contour_bary", "J_regressor", "regions"])
def test_an_alignment_is_for_its_head(name, tmp_path):
    generator = SimpleNamespace(name="next3d", fingerprint="f")
    path = tmp_path / "alignment.safetensors"
    save_alignment(path, AlignmentMLP(), AlignmentOrigin("next3d", "f", head().fingerprint))
    load_alignment(path, generator, head().fingerprint)
    with pytest.raises(AlignmentError, match="another generator or head"):
        load_alignment(path, generator, HEADS[name].fingerprint)


def test_the_training_cache_is_for_its_head():
    generator = SimpleNamespace(name="next3d", fingerprint="f")
    keys = {
        SampleSource(made, generator, NEXT3D_SAMPLING, 0, CPU).key
        for made in (head(), head(), *HEADS.values())
    }
    assert len(keys) == len(HEADS) + 1


# --- Devices --------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_the_device_does_not_matter():
    network = support_next3d.generator(NETWORK)
    generator = Next3DGenerator(network)
    here = dataset_card(RUN, rig(generator=generator))["recipe"]
    there = dataset_card(
        RUN,
        rig(
            generator=Next3DGenerator(network.cuda()),
            head=head().to("cuda"),
            alignment=published_alignment().cuda(),
        ),
    )["recipe"]
    assert there == here
    assert Mannequin("cuda").fingerprint == Mannequin().fingerprint
