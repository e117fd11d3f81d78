--@test: scenario 2: the orders of the hour are added up per customer
--@run: ../01-sources.sql
--@run: ../02-window.sql
--@run: ../03-limit.sql
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('0', 0, 'CREATED', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('1', 0, 'CREATED', 1, 75.00, 1);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('2', 1, 'CREATED', 1, 75.00, 2);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('3', 1, 'CREATED', 1, 75.00, 3);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('4', 1, 'CREATED', 50, 75.00, 4);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('5', 2, 'CREATED', 10, 100.00, 5);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('6', 2, 'CREATED', 10, 100.00, 6);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('7', 2, 'CREATED', 1, 5.00, 7);
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('0', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('1', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('2', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('3', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('4', 'FAIL');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('5', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('6', 'FAIL');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('7', 'FAIL');

--@test: the reason names the total and the limit
--@run: ../01-sources.sql
--@run: ../02-window.sql
--@run: ../03-limit.sql
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('a', 7, 'CREATED', 2, 1000.00, 0);
ASSERT VALUES fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('a', 'FRAUD_CHECK', 'FAIL', 'orders of the hour: 2000.00, limit: 2000', 0);

--@test: the next hour starts from nothing
--@run: ../01-sources.sql
--@run: ../02-window.sql
--@run: ../03-limit.sql
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('a', 1, 'CREATED', 1, 1999.00, 3599999);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('b', 1, 'CREATED', 1, 1999.00, 3600000);
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('a', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('b', 'PASS');

--@test: an order that comes days late gets its answer, in its own hour
--@run: ../01-sources.sql
--@run: ../02-window.sql
--@run: ../03-limit.sql
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('now', 1, 'CREATED', 1, 1999.00, 518400000);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('late', 1, 'CREATED', 1, 2.00, 1000);
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('now', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult, reason) VALUES ('late', 'PASS', 'orders of the hour: 2.00, limit: 2000');

--@test: a negative quantity doesn't make room for the next order
--@run: ../01-sources.sql
--@run: ../02-window.sql
--@run: ../03-limit.sql
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('a', 1, 'CREATED', 1, 1500.00, 0);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('b', 1, 'CREATED', -10, 100.00, 1);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('c', 1, 'CREATED', 1, 500.00, 2);
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('a', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('b', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('c', 'FAIL');

--@test: only CREATED orders count
--@run: ../01-sources.sql
--@run: ../02-window.sql
--@run: ../03-limit.sql
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('a', 1, 'CREATED', 1, 1500.00, 0);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('a', 1, 'VALIDATED', 1, 1500.00, 1);
INSERT INTO orders (id, customerId, state, quantity, price, rowtime) VALUES ('b', 1, 'CREATED', 1, 499.99, 2);
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('a', 'PASS');
ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('b', 'PASS');
