-- A million people for benchmarks.console --size full, after million.sql. A chain: 10 regions of 80
-- stores, 4,000 advisers; two thirds have a home store, two thirds a friend, a few two.
update platform_orgnode set path = id || '.' where parent_id is null;
insert into platform_orgnode (parent_id, kind, code, name, path, legal_entity)
  select (select id from platform_orgnode where parent_id is null), 'region', 'r' || n, 'Region ' || n, 'r' || n, ''
  from generate_series(1, 10) n;
update platform_orgnode set path = parent_id || '.' || id || '.' where kind = 'region';
insert into platform_orgnode (parent_id, kind, code, name, path, legal_entity)
  select (select id from platform_orgnode where code = 'r' || (1 + n % 10)), 'store', 's' || n, 'Store ' || n, 's' || n, ''
  from generate_series(1, 800) n;
update platform_orgnode s set path = r.path || s.id || '.' from platform_orgnode r
  where r.id = s.parent_id and s.kind = 'store';
insert into resources_store (public_id, code, name, org_node_id, address, city, country, time_zone)
  select gen_random_uuid(), code, name, id, '', '', '', '' from platform_orgnode where kind = 'store' order by id;
insert into resources_staff (public_id, userid, name, store_id, org_node_id, active, simulated)
  select gen_random_uuid(), 'u' || n, 'Adviser ' || n, s.id, s.org_node_id, n % 20 > 0, false
  from generate_series(1, 4000) n
  join resources_store s on s.id = (select min(id) from resources_store) + n % 800;
insert into customers_customer (number, public_id, created_at, home_store_id, owner_id)
  select n, gen_random_uuid(), now() - (1000000 - n) * interval '1 minute',
         case when n % 3 > 0 then (select min(id) from resources_store) + (hashint8(n) & 511) + n % 289 end,
         case when n % 3 > 1 then (select min(id) from resources_staff) + (hashint8(n + 7) & 2047) end
  from generate_series(1, 1000000) n;
insert into customers_relation (customer_id, staff_id, external_userid, state, since, occurred_at, fact_key, add_way,
                                channel_state, simulated)
  select n, (select min(id) from resources_staff) + (hashint8(n + 7) & 2047), 'wm' || n,
         case when n % 17 = 0 then 'lost_by_customer' else 'active' end, now(), now(), '', 0, '', true
  from generate_series(1, 1000000) n where n % 3 > 0;
insert into customers_relation (customer_id, staff_id, external_userid, state, since, occurred_at, fact_key, add_way,
                                channel_state, simulated)
  select n, (select min(id) from resources_staff) + 2048 + (hashint8(n + 9) & 1023), 'wn' || n, 'active', now(), now(), '',
         0, '', true
  from generate_series(1, 1000000) n where n % 20 = 1;
insert into customers_identity (kind, key, customer_id, evidence_number, first_seen_at)
  select 'member', 'm' || n, n, n, now() from generate_series(1, 1000000) n;
insert into customers_identity (kind, key, customer_id, evidence_number, first_seen_at)
  select 'external_userid', external_userid, customer_id, customer_id, now() from customers_relation;
insert into commerce_customermetric (customer_id, first_order_at, last_order_at, orders, gmv, refunded, visits)
  select n, now() - interval '300 days', now() - (n % 300) * interval '1 day', 1 + n % 40, (1 + n % 40) * 8000, 0, 0
  from generate_series(1, 1000000) n where n % 5 > 0;
insert into audiences_audience (public_id, name, description, rule, version, org_node_id, live, count, created_at,
                                updated_at, problem)
  select gen_random_uuid(), 'Audience ' || n, '', '{"all": []}', 1, (select id from platform_orgnode where parent_id is null),
         false, n * 1000, now(), now(), '' from generate_series(1, 300) n;
insert into campaigns_campaign (public_id, name, goal, starts_on, ends_on, org_node_id, state, created_at)
  select gen_random_uuid(), 'Campaign ' || n, '', current_date - 400 + 2 * n, current_date - 380 + 2 * n,
         (select id from platform_orgnode where parent_id is null), 'open', now() from generate_series(1, 200) n;
insert into platform_auditentry (at, actor, action, target_type, target_id, changes, request_id, address)
  select now() - n * interval '5 seconds', 'bench', 'customer.tagged', 'customer', n::text, '{}', '', null
  from generate_series(1, 300000) n;
insert into touch_touch (planned_at, slot_at, programme, customer, task, local_day, channel, message_class, state, address)
  select at, at, 0, 1 + n % 1000000, 0, at::date, 'wecom', 'marketing', 'sent', ''
  from (select n, now() - (n::bigint * 7919 % (25 * 86400)) * interval '1 second' as at from generate_series(1, 2000000) n) p;
analyze
