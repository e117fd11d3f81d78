--@test: what is validated and paid is shipped, whichever comes first
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-to-ship.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'SOCKS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 3);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '2', 'EUR', 20.00, 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 16, 'VALIDATED', 'HATS', 1, 20.00, 5);
ASSERT VALUES orders_to_ship (orderId, customerId, product, quantity, paymentId, rowtime) VALUES ('1', 15, 'SOCKS', 3, 'p1', 3);
ASSERT VALUES orders_to_ship (orderId, customerId, product, quantity, paymentId, rowtime) VALUES ('2', 16, 'HATS', 1, 'p2', 5);

--@test: an order that FAILED is not shipped, though it was paid
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-to-ship.sql
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'FAILED', 'SOCKS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '2', 'EUR', 20.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 16, 'VALIDATED', 'HATS', 1, 20.00, 4);
ASSERT VALUES orders_to_ship (orderId, paymentId, rowtime) VALUES ('2', 'p2', 4);

--@test: what is paid in part waits for a payment in full
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-to-ship.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 14.99, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '1', 'EUR', 15.00, 3);
ASSERT VALUES order_payments (orderId, paymentId, amount) VALUES ('1', 'p1', 14.99);
ASSERT VALUES order_payments (orderId, paymentId, amount) VALUES ('1', 'p2', 15.00);
ASSERT VALUES orders_to_ship (orderId, paymentId, rowtime) VALUES ('1', 'p2', 3);

--@test: a payment six days later is in time, one eight days later is not
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-to-ship.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 0);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 518400000);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '2', 'EUR', 15.00, 691200000);
ASSERT VALUES orders_to_ship (orderId, paymentId, rowtime) VALUES ('1', 'p1', 518400000);
