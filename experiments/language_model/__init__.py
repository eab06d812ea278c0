"""What a recurrent network predicts of text, against tables of n-grams (claims N6, N19, N20)."""
