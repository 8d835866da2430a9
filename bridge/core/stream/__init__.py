"""What the venue tells: pushes and rows, published states, gaps and reconciliation."""
