"""shoal: git-annex's proxies and clusters, as a gateway, a client and a library."""

__version__ = "0.1.0"
