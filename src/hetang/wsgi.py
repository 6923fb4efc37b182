"""The WSGI application that the web process serves."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application

from hetang.operations.turns import Turns
from hetang.platform import children, registry_values

if os.environ.get("HETANG_WEB_WORKER"):
    # granian's workers survive a kill -9 of granian and would keep answering on the port
    children.die_with_parent()

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
application = Turns(get_wsgi_application(), registry_values.web_threads())

# A batch of a thousand facts makes some ten thousand objects and no cycles: at Python's own threshold the collector
# would run fifteen times for each and take a fifth of the time. What is loaded by now stays; it need not be visited.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
