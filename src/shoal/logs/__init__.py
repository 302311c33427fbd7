"""One small pure module per log of the git-annex branch: parse, render, change, merge."""
