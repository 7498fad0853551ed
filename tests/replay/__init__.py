"""Replays of whole stretches of nights, checked against a model written independently of the product."""
