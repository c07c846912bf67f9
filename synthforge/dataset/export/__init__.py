"""Datasets in other people's formats. One module a format; `formats` has the table."""
