"""Pictures about datasets."""
