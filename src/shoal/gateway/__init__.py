"""Clusters and proxies: which nodes, fan-out, fail-over, outcome."""
