"""What people wear and hold: meshes that are built to fit one posed head."""
