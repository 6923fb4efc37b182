"""Backups of a home, taken while it runs: logical dumps, base backups with archived log, restore and rehearsed restore.

It works below Django (PostgreSQL's own programs and psycopg), so that a damaged or newer installation can still be
saved. Ages and names of backups are wall-clock times: they speak of disks, not of the brand's decisions.
"""
