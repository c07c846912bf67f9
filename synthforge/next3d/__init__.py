"""The neural generator Next3D: head mesh, latent and camera to a photo-real face."""

from synthforge.mesh import Topology
from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.generator import Next3DGenerator
from synthforge.next3d.next3d import Next3D

__all__ = ["Next3D", "Next3DConfig", "Next3DGenerator", "Topology"]
