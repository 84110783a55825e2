"""`bench report`: one self-contained page of one or more comparisons, and the server that keeps it up to date."""
