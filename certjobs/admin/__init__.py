"""What administrators do by hand: plain functions over units of work, one module per subject."""
