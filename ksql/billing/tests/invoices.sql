--@test: an order that is validated and paid gets an invoice
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-invoices.sql
--@run: ../04-revenue.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'SOCKS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 86400000);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 15, 'FAILED', 'SOCKS', 3, 5.00, 86400001);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '2', 'EUR', 15.00, 86400002);
ASSERT VALUES billed_payments (orderId, customerId, product, quantity, paymentId, ccy, amount, day) VALUES ('1', 15, 'SOCKS', 3, 'p1', 'EUR', 15.00, '1970-01-02');
ASSERT VALUES invoices (orderId, invoiceId, customerId, product, quantity, paymentId, ccy, amount, day) VALUES ('1', 'INV-1', 15, 'SOCKS', 3, 'p1', 'EUR', 15.00, '1970-01-02');

--@test: an order that is paid twice is billed once
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-invoices.sql
--@run: ../04-revenue.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '1', 'EUR', 16.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 15, 'VALIDATED', 'HATS', 1, 20.00, 4);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p3', '2', 'EUR', 20.00, 5);
ASSERT VALUES invoices (orderId, paymentId, amount) VALUES ('1', 'p1', 15.00);
ASSERT VALUES invoices (orderId, paymentId, amount) VALUES ('1', 'p1', 15.00);
ASSERT VALUES invoices (orderId, paymentId, amount) VALUES ('2', 'p3', 20.00);
