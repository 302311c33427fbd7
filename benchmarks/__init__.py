"""Measurements of shoal side by side with the real git-annex, in one run, as ratios."""
