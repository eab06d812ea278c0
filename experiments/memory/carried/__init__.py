"""What trained cells carry: cells and outputs exchanged between sequences, gates at marked steps."""
