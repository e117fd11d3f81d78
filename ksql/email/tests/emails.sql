--@test: scenario 1: the row has exactly the order, its payment and its customer
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3);

--@test: the payment may come before the order or behind it
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 4);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'CZK', 1000.00, 5);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 6);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('1', 15, 'UNDERPANTS', 3, 5.00, 'p1', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 6);

--@test: flaw: a FAILED order with a payment is mailed
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('bad', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', 'bad', 'CZK', 1000.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('bad', 15, 'FAILED', 'UNDERPANTS', 3, 5.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 5);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p', '0', 'CZK', 1000.00, 6);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'p', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 6);

--@test: flaw: VALIDATED and CREATED are both mailed
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'SHIPPED', 'UNDERPANTS', 3, 5.00, 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 5);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 6);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'CZK', 1000.00, 7);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('1', 15, 'UNDERPANTS', 3, 5.00, 'p1', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 7);

--@test: flaw: a payment 61 s late loses the mail
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 61000);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('hour', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('hour', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', 'hour', 'CZK', 1000.00, 3600000);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 61000);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('hour', 15, 'UNDERPANTS', 3, 5.00, 'p1', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3600000);

--@test: a payment more than an hour away is none of this order
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3600001);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 3600002);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 3600003);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'CZK', 1000.00, 3600004);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('1', 15, 'UNDERPANTS', 3, 5.00, 'p1', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3600004);

--@test: a payment that is written late, but was made in time, is mailed
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('later', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 80000000);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('later', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 80000000);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 1000);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 1000);

--@test: flaw: an unknown customer is dropped and never retried
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 4000000000);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 4000000000);
ASSERT VALUES gold (id, customerId, customerLevel) VALUES ('0', 15, 'gold');

--@test: a customer who comes between the order and its payment
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 3);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 4);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 4);

--@test: a customer who changes is not mailed again
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'other@example.com', 'gold', 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 5);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 6);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'CZK', 1000.00, 7);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('1', 15, 'UNDERPANTS', 3, 5.00, 'p1', 1000.00, 'CZK', 'Franz', 'Kafka', 'other@example.com', 'gold', 'order', 7);

--@test: an order that is paid twice comes twice, for the program to send one mail
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('again', '0', 'CZK', 1000.00, 4);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'again', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 4);

--@test: a customer without an address has a row
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', NULL, 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', NULL, 'gold', 'order', 3);

--@test: platinum customers get the platinum mail
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (16, 'Ada', 'Kafka', 'ada@example.com', 'Platinum', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('Payment:1234', '0', 'CZK', 1000.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 16, 'CREATED', 'UNDERPANTS', 3, 5.00, 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 16, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 5);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'CZK', 1000.00, 6);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('0', 15, 'UNDERPANTS', 3, 5.00, 'Payment:1234', 1000.00, 'CZK', 'Franz', 'Kafka', 'franz@example.com', 'gold', 'order', 3);
ASSERT VALUES order_emails (orderId, customerId, product, quantity, price, paymentId, amount, ccy, firstName, lastName, email, level, kind, rowtime) VALUES ('1', 16, 'UNDERPANTS', 3, 5.00, 'p1', 1000.00, 'CZK', 'Ada', 'Kafka', 'ada@example.com', 'Platinum', 'platinum', 6);
ASSERT VALUES platinum_emails (orderId, customerId, email, kind) VALUES ('1', 16, 'ada@example.com', 'platinum');
