"""The platform's APIs below `/cgi-bin/`, one module per family; importing them fills the routing table."""
