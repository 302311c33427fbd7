"""Preferred content: expression text to AST to `matches(expr, facts)`. Pure."""
