"""The HTTP application in front of remotes: API, permissions, locks."""
