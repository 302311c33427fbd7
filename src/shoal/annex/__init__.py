"""What users do with a repository: add, get, drop with proofs, copy, move, describe."""
