"""Commits of the git-annex branch that are signed with an SSH key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.world import World


@dataclass
class Signer:
    """Somebody with a key."""

    world: World
    name: str

    def __post_init__(self) -> None:
        self.key = self.world.root / f"{self.name}.key"
        self.world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)

    def allow_in(self, repo: Path) -> None:
        """Let a repository take what this key signed, and nobody else's."""
        public = self.key.with_name(f"{self.key.name}.pub").read_text()
        allowed = self.world.root / f"{repo.name}.allowed"
        allowed.write_text(f"{self.name}@example.org {public}")
        self.world.git(repo, "config", "gpg.ssh.allowedSignersFile", allowed)

    def sign(self, repo: Path) -> None:
        """Add a signed commit to the git-annex branch, with the same content."""
        words = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={self.key}")
        made = self.world.git(
            repo, *words, "commit-tree", "-S", "-m", "signed", "-p", "git-annex", "git-annex^{tree}"
        )
        self.world.git(repo, "update-ref", "refs/heads/git-annex", made)
