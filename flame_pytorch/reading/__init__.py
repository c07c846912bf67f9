"""Files that other programs wrote, parsed with bounds and never executed."""
