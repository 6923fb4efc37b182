"""Customers and groups that go from one member of staff to others, when she leaves or moves (reference section 14).

`preparing` writes down who goes to whom and who cannot go, `carrying` asks WeCom for it, `following` looks what became
of it, `leavers` mirrors whom WeCom lists as waiting, `queries` reads.
"""
