"""Proves a dataset whole: every file is there, is what it should be, and agrees with the others."""
