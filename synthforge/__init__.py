"""SynthForge: labelled synthetic face datasets from a controllable 3D face generator."""

__version__ = "0.1.0"
