"""Search for the settings of each cell on the validation part, with the same number of trials for every cell."""
