"""The checks of `hawse.testing.check_store`, by subject."""
