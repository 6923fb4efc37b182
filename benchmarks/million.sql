-- What every million people of a benchmark have (`benchmarks.million`), straight into the tables: the brand, twelve tags
-- of 3 to 36 per cent, the consent of seven in ten. Statements end with a semicolon and a line break.
insert into platform_brand (id, name, currency, currency_digits, time_zone, country, accent, staff_title, demo,
                            demo_shift_days)
  values (1, 'Million', 'CNY', 2, 'Asia/Shanghai', 'CN', '#2f7d6b', '', false, 0) on conflict do nothing;
insert into platform_orgnode (kind, code, name, path, legal_entity) select 'brand', 'brand', 'Million', '1.', ''
  where not exists (select from platform_orgnode where parent_id is null);
insert into customers_taggroup (name, position, exclusive) values ('Bench', 0, false);
insert into customers_tag (code, group_id, name, position)
  select 't' || n, (select id from customers_taggroup where name = 'Bench'), 'Tag ' || n, n from generate_series(1, 12) n;
insert into customers_customertag (customer_id, tag_id, "on", occurred_at, fact_key, source)
  select number, t.id, true, now(), '', 'bench' from generate_series(1, 1000000) number, customers_tag t
  where hashint4((number * 12 + t.id)::int) % 100 between 0 and t.position * 3;
insert into customers_consent (customer_id, purpose, channel, given, basis, text_version, occurred_at, fact_key, source,
                               simulated)
  select number, 'marketing', 'wecom', true, 'consent', '', now(), '', 'bench', true
  from generate_series(1, 1000000) number where number % 10 < 7;
