"""Plug-ins for ftsearch, each in a file of its own."""
