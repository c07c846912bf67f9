"""A dataset on one self-contained HTML page."""
