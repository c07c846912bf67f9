"""Heads recovered from photographs: camera, shape and expression from a detector's points."""
