"""Write a dataset of labelled synthetic faces: see --help."""

from synthforge.cli.launch import launch

if __name__ == "__main__":
    launch("synthforge.cli.generate", "generate")
