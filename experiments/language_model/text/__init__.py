"""Characters of a text: both cells at equal parameters against tables of n-grams and compressors."""
