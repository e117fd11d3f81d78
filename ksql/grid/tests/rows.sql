--@test: a row is there with the order, and is completed as its customer and payment come
--@run: ../01-sources.sql
--@run: ../02-parts.sql
--@run: ../03-rows.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 15, 'CREATED', 'SOCKS', 3, 5.00, 1, 1);
INSERT INTO customers (id, firstName, lastName, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'gold', 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 2, 3);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 4);
ASSERT VALUES order_payment (orderId, paymentId, ccy, amount) VALUES ('1', 'p1', 'EUR', 15.00);
ASSERT VALUES order_rows (id, customerId, state, product, quantity, price, version, firstName, lastName, level, paymentId, paid, ccy) VALUES ('1', 15, 'CREATED', 'SOCKS', 3, 5.00, 1, NULL, NULL, NULL, NULL, NULL, NULL);
ASSERT VALUES order_rows (id, state, version, firstName, lastName, level, paid) VALUES ('1', 'CREATED', 1, 'Franz', 'Kafka', 'gold', NULL);
ASSERT VALUES order_rows (id, state, version, firstName, paid) VALUES ('1', 'VALIDATED', 2, 'Franz', NULL);
ASSERT VALUES order_rows (id, state, version, firstName, paymentId, paid, ccy) VALUES ('1', 'VALIDATED', 2, 'Franz', 'p1', 15.00, 'EUR');

--@test: a payment that comes before its order is in the order's first row, and the last payment counts
--@run: ../01-sources.sql
--@run: ../02-parts.sql
--@run: ../03-rows.sql
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 14.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '1', 'EUR', 15.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, reasons, version, rowtime) VALUES ('1', 15, 'FAILED', 'SOCKS', 3, 5.00, ARRAY['no', 'nor'], 2, 3);
ASSERT VALUES order_rows (id, state, reasons, paymentId, paid) VALUES ('1', 'FAILED', ARRAY['no', 'nor'], 'p2', 15.00);

--@test: a customer's new level changes the rows of all of their orders
--@run: ../01-sources.sql
--@run: ../02-parts.sql
--@run: ../03-rows.sql
INSERT INTO customers (id, firstName, level, rowtime) VALUES (15, 'Franz', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 15, 'CREATED', 'SOCKS', 3, 5.00, 1, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('2', 15, 'CREATED', 'HATS', 1, 20.00, 1, 2);
INSERT INTO customers (id, firstName, level, rowtime) VALUES (15, 'Franz', 'platinum', 3);
ASSERT VALUES order_customer (id, level) VALUES ('1', 'gold');
ASSERT VALUES order_customer (id, level) VALUES ('2', 'gold');
ASSERT VALUES order_customer (id, level) VALUES ('1', 'platinum');
ASSERT VALUES order_customer (id, level) VALUES ('2', 'platinum');
ASSERT VALUES order_rows (id, level) VALUES ('1', 'gold');
ASSERT VALUES order_rows (id, level) VALUES ('2', 'gold');
ASSERT VALUES order_rows (id, level) VALUES ('1', 'platinum');
ASSERT VALUES order_rows (id, level) VALUES ('2', 'platinum');
