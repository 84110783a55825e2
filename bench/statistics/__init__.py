"""Statistics of paired comparisons: plain functions over numpy arrays, nothing heavy at import."""
