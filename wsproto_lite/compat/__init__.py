"""Other libraries' vocabulary over this one: to try it, change an import."""
