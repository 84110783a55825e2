"""From stored runs to one `Comparison`: rows, pairs, guards, and several data sets together."""
