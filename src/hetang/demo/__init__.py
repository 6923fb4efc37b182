"""The demo brand: the Complete Journey, loaded through the public import path."""
