"""Training of the alignment MLP: samples, losses, the loop, and its report."""

from __future__ import annotations

from synthforge.alignment import AlignmentError


class TrainingError(AlignmentError):
    """Training cannot go on; the message says where it broke and the way out."""
