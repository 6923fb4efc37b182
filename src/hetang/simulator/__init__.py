"""A simulated WeCom: corp, staff, customers, mass messages, callbacks, and a population that buys.

Its own process, its own SQLite file, no code shared with the connector; of Hetang it uses only `hetang.platform`.
One home holds one corp. Everything in it is simulated, and says so wherever a person sees it.
"""
