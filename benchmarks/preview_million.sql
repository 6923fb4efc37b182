-- A million people for benchmarks.preview --size full, after million.sql. No fact tells of them: the customers come last
-- and at once, so that the engine builds its sets anew. Money in fen; ten stores, forty categories.
insert into platform_orgnode (parent_id, kind, code, name, path, legal_entity)
  select (select min(id) from platform_orgnode), 'store', 's' || n, 'Store ' || n, 'new' || n, ''
  from generate_series(1, 10) n;
update platform_orgnode set path = parent_id || '.' || id || '.' where path like 'new%';
insert into resources_store (public_id, code, name, org_node_id, address, city, country, time_zone)
  select gen_random_uuid(), code, name, id, '', '', '', '' from platform_orgnode where kind = 'store';
insert into resources_product (sku, name, category, department, brand)
  select 'p' || n, 'Product ' || n, 'c' || n, '', '' from generate_series(0, 39) n;
insert into customers_customer (number, public_id, created_at, home_store_id)
  select n, gen_random_uuid(), now(), (select min(id) from resources_store) + n % 10 from generate_series(1, 1000000) n;
analyze customers_customer;
analyze customers_customertag;
-- clickhouse
insert into orders select number % 1000000 + 1,
  now64(3) - toIntervalSecond(intHash32(number) % 31536000) as at, toDate(at, 'Asia/Shanghai'), 'bench', toString(number),
  concat('s', toString(number % 10 + 1)), 'store', intHash32(number + 7) % 40000, 0, 2
  from numbers(7000000);
-- clickhouse
insert into order_lines select customer, placed_at, day, source, order_key, store, channel,
  concat('p', toString((customer + line * 17 + net) % 40)), concat('c', toString((customer + line * 17 + net) % 40)), 1,
  intDiv(net, 2) from orders array join [0, 1] as line;
-- clickhouse
insert into touches (customer, at, day, channel, programme, message_class, state)
  select number % 1000000 + 1, now64(3) - toIntervalSecond(intHash32(number + 3) % 8000000) as at,
  toDate(at, 'Asia/Shanghai'), 'wecom', 1, 'marketing', 'sent' from numbers(3000000);
-- clickhouse
insert into customer_profile (customer, version, home_store, owner, first_order_at, last_order_at, orders, gmv, refunded,
    visits, last_visit_at, favourite_store, favourite_category, attributes, alive)
  select customer, 1, concat('s', toString(customer % 10 + 1)), '', min(placed_at), max(placed_at), count(), sum(net), 0, 0,
    null, any(store), concat('c', toString(customer % 40)), map('city', toString(customer % 300)), 1
  from orders group by customer
