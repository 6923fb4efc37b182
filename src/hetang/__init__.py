"""Hetang 荷塘: the open-source operating system for a brand's private domain."""

__version__ = "0.1.0"
