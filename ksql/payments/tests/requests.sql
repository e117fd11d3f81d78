--@test: an order is charged its value when it is VALIDATED, in no other state
--@run: ../01-sources.sql
--@run: ../02-requests.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'SOCKS', 3, 5.25, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 16, 'FAILED', 'SOCKS', 1, 5.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.25, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'SHIPPED', 'SOCKS', 3, 5.25, 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('3', 17, 'VALIDATED', 'HATS', 1, 20.00, 5);
ASSERT VALUES payment_requests (id, customerId, ccy, amount, rowtime) VALUES ('1', 15, 'EUR', 15.75, 3);
ASSERT VALUES payment_requests (id, customerId, ccy, amount, rowtime) VALUES ('3', 17, 'EUR', 20.00, 5);
