"""Datasets on disk: writing, reading and looking at them."""
