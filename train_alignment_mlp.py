"""Train the alignment of the head with the generated face: see --help."""

from synthforge.cli.launch import launch

if __name__ == "__main__":
    launch("synthforge.cli.train_alignment", "train")
