"""One git-annex repository on this machine's disk. Blocking; call it from threads."""
