"""Words of a text: both cells over a table of embeddings, at equal parameters, against tables of n-grams."""
