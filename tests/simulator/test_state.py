"""The file of an earlier version goes on working."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hetang.simulator.state import State

# As the first version made them, without what came since.
EARLIER = """
create table setting (name text primary key, value text not null) without rowid;
create table member (
  userid text primary key collate nocase, name text not null, status integer not null default 1,
  customer_contact integer not null default 1, store text not null default '', position text not null default '',
  tasks integer not null default 0
) without rowid;
create table relation (
  userid text not null collate nocase, external_userid text not null, state text not null,
  createtime integer not null, add_way integer not null default 0, channel_state text not null default '',
  remark text not null default '', primary key (userid, external_userid)
) without rowid;
insert into member (userid, name) values ('anna', 'Anna');
insert into relation (userid, external_userid, state, createtime) values ('anna', 'wm1', 'full', 1700000000);
"""


def test_a_file_of_an_earlier_version_gets_what_came_since(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.sqlite3")) as db:
        db.executescript(EARLIER)
    for _ in range(2):  # and again, when all is there
        state = State(tmp_path)
        with state.transaction() as db:
            row = db.execute("select r.tags, r.link_id, m.left_at from relation r join member m using (userid)")
            assert tuple(row.fetchone()) == ("[]", "", None)
            assert db.execute("select count(*) from chat").fetchone()[0] == 0
        state.close()
