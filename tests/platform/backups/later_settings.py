"""The product of a later version: one room more, whose second migration fails on data that it does not like."""

from hetang.settings import *  # noqa: F403
from hetang.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.platform.backups.later"]
