"""Commands as real processes that start quickly, stop where a test wants them and die where a test wants them."""
