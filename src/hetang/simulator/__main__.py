"""`python -m hetang.simulator --home DIR --port N`."""

import sys

from hetang.simulator.server import main

sys.exit(main(sys.argv[1:]))
