"""Interpreters, environments, and boc installed in them."""
