"""Whether the connection works, in the order in which WeCom demands things: what is wrong, and the remedy."""
