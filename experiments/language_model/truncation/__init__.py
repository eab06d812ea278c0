"""How far back the gradient reaches while a model of text learns: chunks cut into blocks of k steps, all else equal."""
