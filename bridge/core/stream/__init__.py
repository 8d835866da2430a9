"""The stream of the venue: pushes, the rows of REST in their place, published states, gaps and reconciliation."""
