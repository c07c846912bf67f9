"""Write a dataset of labelled synthetic faces: see --help."""

from synthforge.cli.generate import generate

if __name__ == "__main__":
    generate()
