"""One module per figure, by family; its file name is the command."""
