"""Train the alignment of the head with the generated face: see --help."""

from synthforge.cli.train_alignment import train

if __name__ == "__main__":
    train()
