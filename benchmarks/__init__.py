"""Measurements beside yardsticks in the same run, as ratios: `make bench`. Times vary by machine; ratios less."""
