"""The figures: a function each, frames or views in, a matplotlib Figure out; and the one look that all have."""
