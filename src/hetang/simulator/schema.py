"""Tables of the simulated world. Times are Unix seconds of the simulator's clock.

`received_in` counts per recipient (customer or group) and period (month, week or day, as the corp caps). Statements are
parted at semicolons: none inside them.
"""

SCHEMA = """
create table if not exists setting (name text primary key, value text not null) without rowid;

create table if not exists app (
  agentid integer primary key, name text not null, secret text not null unique,
  customer_contact integer not null default 1, trusted_ips text not null default '[]',
  callback_url text not null default '',
  callback_token text not null default '', callback_aes_key text not null default '',
  allowed text not null default '', redirect_domain text not null default '',
  writes_contacts integer not null default 0
);
create table if not exists token (
  access_token text primary key, agentid integer not null, expires_at real not null, dead text not null default ''
) without rowid;

create table if not exists department (
  id integer primary key, name text not null, parentid integer not null, position integer not null default 0
);
create table if not exists member (
  userid text primary key collate nocase, name text not null, status integer not null default 1,
  customer_contact integer not null default 1, store text not null default '', position text not null default '',
  tasks integer not null default 0,
  alias text not null default '', mobile text not null default '', email text not null default '',
  gender integer not null default 0, verified integer not null default 1,
  own_welcome integer not null default 0, left_at real
) without rowid;
create table if not exists member_department (
  userid text not null collate nocase, department integer not null, leads integer not null default 0,
  primary key (department, userid)
) without rowid;

create table if not exists address_tag (tagid integer primary key, name text not null unique);
create table if not exists address_tag_member (
  tagid integer not null, userid text not null collate nocase, primary key (tagid, userid)
) without rowid;
create table if not exists address_tag_department (
  tagid integer not null, department integer not null, primary key (tagid, department)
) without rowid;

create table if not exists person (
  external_userid text primary key, name text not null, unionid text not null, gender integer not null default 0,
  identities text not null default '[]', store text not null default '',
  basket integer not null default 0, daily_rate real not null default 0,
  kind integer not null default 1, corp_name text not null default '', position text not null default ''
) without rowid;
create index if not exists person_unionid on person (unionid);
create table if not exists pending (pending_id text primary key, unionid text not null, at real not null) without rowid;
create table if not exists relation (
  userid text not null collate nocase, external_userid text not null, state text not null,
  createtime integer not null, add_way integer not null default 0, channel_state text not null default '',
  remark text not null default '', description text not null default '', corp_remark text not null default '',
  mobiles text not null default '[]', tags text not null default '[]', own_tags text not null default '[]',
  by_customer integer, way text not null default '', link_id text not null default '',
  received integer not null default 0, written integer not null default 0, lost_at real,
  primary key (userid, external_userid)
) without rowid;
create index if not exists relation_of_person on relation (external_userid, createtime);
create index if not exists relation_of_link on relation (link_id) where link_id != '';

create table if not exists welcome_code (
  code text primary key, userid text not null collate nocase, external_userid text not null, at real not null,
  used_at real, text text not null default '', attachments text not null default '[]', agentid integer
) without rowid;
create index if not exists welcome_code_of_pair on welcome_code (external_userid, userid, at);
create table if not exists member_day (
  userid text not null collate nocase, day text not null, chats integer not null default 0,
  messages integer not null default 0, asked integer not null default 0, answered integer not null default 0,
  minutes real not null default 0, lost integer not null default 0, applied integer not null default 0,
  gained integer not null default 0, primary key (userid, day)
) without rowid;

create table if not exists tag_group (
  id text primary key, name text not null, position integer not null default 0, created_at integer not null,
  deleted_at integer, agentid integer, strategy_id integer not null default 0
) without rowid;
create table if not exists tag (
  number integer primary key, id text not null unique, group_id text not null, name text not null,
  position integer not null default 0, created_at integer not null, deleted_at integer
);
create index if not exists tag_of_group on tag (group_id);

create table if not exists chat (
  number integer primary key, chat_id text not null unique, name text not null, owner text not null collate nocase,
  created_at integer not null, notice text not null default '', admins text not null default '[]',
  version integer not null default 0, status integer not null default 0, dismissed_at real,
  trainee integer not null default 0
);
create index if not exists chat_of_owner on chat (owner);
create table if not exists chat_member (
  chat_id text not null, userid text not null collate nocase, kind integer not null, join_time integer not null,
  join_scene integer not null, invitor text not null default '', state text not null default '',
  nickname text not null default '', primary key (chat_id, userid)
) without rowid;
create index if not exists chat_of_member on chat_member (userid);
create table if not exists chat_day (
  chat_id text not null, day text not null, joined integer not null default 0, lost integer not null default 0,
  messages integer not null default 0, primary key (chat_id, day)
) without rowid;
create table if not exists chat_speaker (
  chat_id text not null, day text not null, userid text not null, primary key (chat_id, day, userid)
) without rowid;
create table if not exists way (
  number integer primary key, config_id text not null unique, kind text not null, agentid integer not null,
  body text not null, created_at real not null, temporary integer not null default 0, used integer not null default 0
);
create table if not exists temp_chat (
  userid text not null collate nocase, external_userid text not null, ends_at real not null, closed_at real,
  primary key (userid, external_userid)
) without rowid;
create table if not exists group_welcome (
  template_id text primary key, agentid integer not null, body text not null, created_at real not null
) without rowid;

create table if not exists transfer (
  number integer primary key, kind text not null, external_userid text not null, handover text not null collate nocase,
  takeover text not null collate nocase, status integer not null default 2, asked_at real not null,
  taken_at real, message text not null default ''
);
create index if not exists transfer_of_pair on transfer (handover, takeover, number);
create index if not exists transfer_of_person on transfer (external_userid, asked_at);
create index if not exists transfer_due on transfer (asked_at) where status = 2;
create table if not exists chat_transfer (
  number integer primary key, chat_id text not null, kind text not null, takeover text not null collate nocase,
  asked_at real not null, done_at real
);
create index if not exists chat_transfer_of on chat_transfer (chat_id, asked_at);

create table if not exists moment (
  number integer primary key, moment_id text not null unique, jobid text not null unique, agentid integer,
  owner text not null default '', created_at real not null, body text not null, invalid text not null default '{}',
  cancelled_at real
);
create table if not exists moment_task (
  moment_id text not null, userid text not null collate nocase, publishes_at real, published_at real,
  primary key (moment_id, userid)
) without rowid;
create index if not exists moment_task_due on moment_task (publishes_at) where published_at is null;
create table if not exists moment_view (
  moment_id text not null, userid text not null collate nocase, external_userid text not null, seen integer not null,
  at real not null, primary key (moment_id, userid, external_userid)
) without rowid;
create index if not exists moment_view_of_person on moment_view (external_userid, at);
create table if not exists moment_reaction (
  number integer primary key, moment_id text not null, userid text not null collate nocase, kind text not null,
  external_userid text not null, at real not null
);
create index if not exists moment_reaction_of on moment_reaction (moment_id, userid);

create table if not exists kept (
  number integer primary key, kind text not null, id text not null unique, agentid integer not null,
  body text not null, created_at real not null
);
create index if not exists kept_of_kind on kept (kind, number);

create table if not exists quota (
  number integer primary key, bought integer not null, balance integer not null, expires_at real not null
);
create table if not exists link_click (link_id text not null, external_userid text not null, at real not null);
create index if not exists link_click_of on link_click (link_id, at);
create table if not exists chat_key (
  chat_key text primary key, userid text not null collate nocase, external_userid text not null,
  link_id text not null, received integer not null, at real not null
) without rowid;

create table if not exists app_message (
  number integer primary key, msgid text not null unique, agentid integer not null, msgtype text not null,
  body text not null, members text not null, at real not null, recalled_at real, response_code text not null default ''
);
create index if not exists app_message_newest on app_message (agentid, at);
create table if not exists login_code (
  code text primary key, agentid integer not null, userid text not null collate nocase, external_userid text not null,
  openid text not null, kind text not null, private integer not null, at real not null, used_at real
) without rowid;
create table if not exists user_ticket (
  ticket text primary key, userid text not null collate nocase, agentid integer not null, at real not null
) without rowid;
create table if not exists js_ticket (
  kind text not null, agentid integer not null, ticket text not null, expires_at real not null,
  primary key (kind, agentid)
) without rowid;

create table if not exists kf_account (
  open_kfid text primary key, number integer not null, name text not null, agentid integer not null, deleted_at real
) without rowid;
create table if not exists kf_servicer (
  open_kfid text not null, userid text not null collate nocase, primary key (open_kfid, userid)
) without rowid;
create table if not exists kf_session (
  open_kfid text not null, external_userid text not null, state integer not null default 0,
  servicer text not null default '', answers_left integer not null default 0, written_at real not null default 0,
  welcome_code text not null default '', entered_at real not null default 0, primary key (open_kfid, external_userid)
) without rowid;
create table if not exists kf_message (
  number integer primary key, msgid text not null unique, open_kfid text not null, external_userid text not null,
  origin integer not null, at real not null, msgtype text not null, body text not null
);
create table if not exists kf_token (token text primary key, open_kfid text not null, at real not null) without rowid;

create table if not exists media (
  media_id text primary key, kind text not null, name text not null, bytes integer not null, created_at real not null,
  purpose integer not null default 0, content blob
) without rowid;
create table if not exists upload_job (
  number integer primary key, jobid text not null unique, agentid integer not null, kind text not null,
  filename text not null, url text not null, md5 text not null, at real not null, status integer not null default 1,
  code integer not null default 0, media_id text not null default '', ended_at real
);
create table if not exists staff_chat (
  chatid text primary key, agentid integer not null, name text not null, owner text not null, members text not null,
  created_at real not null, changed_at real not null
) without rowid;

create table if not exists group_message (
  number integer primary key, msgid text not null unique, agentid integer not null, chat_type text not null,
  text text not null, attachments text not null, created_at real not null, cancelled_at real,
  creator text not null default '' collate nocase, allow_select integer not null default 0
);
create index if not exists group_message_newest on group_message (created_at);
create table if not exists group_message_task (
  msgid text not null, userid text not null collate nocase, status integer not null default 0, send_time real,
  confirms_at real, ignored integer not null default 0, primary key (msgid, userid)
) without rowid;
create index if not exists group_message_task_due on group_message_task (confirms_at) where status = 0;
create table if not exists group_message_recipient (
  msgid text not null, userid text not null collate nocase, external_userid text not null,
  status integer not null default 0, send_time real, primary key (msgid, userid, external_userid)
) without rowid;
create index if not exists group_message_of_person on group_message_recipient (external_userid, status);
create table if not exists reminder (msgid text not null, at real not null);
create table if not exists received_in (
  recipient text not null, period text not null, messages integer not null, primary key (recipient, period)
) without rowid;
create table if not exists exposure (external_userid text primary key, sent_at real not null) without rowid;

create table if not exists product (sku text primary key, category text not null, price integer not null) without rowid;
create table if not exists purchase (
  number integer primary key, key text not null unique, external_userid text not null, at real not null,
  net integer not null, caused integer not null
);
create index if not exists purchase_at on purchase (at);
create table if not exists outbox (
  number integer primary key, key text not null unique, fact text not null, posted_at real
);
create index if not exists outbox_waiting on outbox (number) where posted_at is null;

create table if not exists click (
  number integer primary key, key text not null unique, msgid text not null, external_userid text not null,
  path text not null, at real not null, answered_at real, status integer
);
create index if not exists click_at on click (at);
create index if not exists click_waiting on click (at, number) where answered_at is null;

create table if not exists callback (
  number integer primary key, agentid integer not null, body text not null, created_at real not null,
  tries integer not null default 0, state text not null default 'waiting', error text not null default ''
);
create index if not exists callback_waiting on callback (number) where state = 'waiting';
"""
