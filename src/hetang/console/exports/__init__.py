"""Taking files out: what can be exported, the register, the way from a question to a file."""
