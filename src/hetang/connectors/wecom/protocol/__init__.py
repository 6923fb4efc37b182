"""The calls we make, typed, one module for each family of the reference. Import the families, not single names:
`from hetang.connectors.wecom.protocol import contacts`."""
