"""Phantoms: recognised, located and measured against a definition, and digital ones whose truth is computed."""
