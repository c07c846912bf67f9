"""The generators that the program knows: one file each."""
