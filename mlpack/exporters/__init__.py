"""One file or folder per framework: a fitted pipeline in, a graph out."""
