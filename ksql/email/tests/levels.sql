--@test: every order goes to the topic of its customer's level, the rest to bronze
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (0, 'Franz', 'Kafka', 'franz@example.com', 'platinum', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (1, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (2, 'Franz', 'Kafka', 'franz@example.com', 'silver', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (3, 'Franz', 'Kafka', 'franz@example.com', 'bronze', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (4, 'Franz', 'Kafka', 'franz@example.com', 'Gold', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (5, 'Franz', 'Kafka', 'franz@example.com', 'diamond', 0);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (6, 'Franz', 'Kafka', 'franz@example.com', NULL, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 0, 'CREATED', 'UNDERPANTS', 3, 5.00, 10);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 1, 'CREATED', 'UNDERPANTS', 3, 5.00, 11);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 2, 'CREATED', 'UNDERPANTS', 3, 5.00, 12);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('3', 3, 'CREATED', 'UNDERPANTS', 3, 5.00, 13);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('4', 4, 'CREATED', 'UNDERPANTS', 3, 5.00, 14);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('5', 5, 'CREATED', 'UNDERPANTS', 3, 5.00, 15);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('6', 6, 'CREATED', 'UNDERPANTS', 3, 5.00, 16);
ASSERT VALUES platinum (id, customerId, customerLevel) VALUES ('0', 0, 'platinum');
ASSERT VALUES gold (id, customerId, customerLevel) VALUES ('1', 1, 'gold');
ASSERT VALUES gold (id, customerId, customerLevel) VALUES ('4', 4, 'gold');
ASSERT VALUES silver (id, customerId, customerLevel) VALUES ('2', 2, 'silver');
ASSERT VALUES bronze (id, customerId, customerLevel) VALUES ('3', 3, 'bronze');
ASSERT VALUES bronze (id, customerId, customerLevel) VALUES ('5', 5, 'bronze');
ASSERT VALUES bronze (id, customerId, customerLevel) VALUES ('6', 6, 'bronze');

--@test: an order whose customer comes later waits for it
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('early', 1, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('never', 2, 'CREATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (3, 'Franz', 'Kafka', 'franz@example.com', 'silver', 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('known', 3, 'CREATED', 'UNDERPANTS', 3, 5.00, 4);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (1, 'Franz', 'Kafka', 'franz@example.com', 'platinum', 5);
ASSERT VALUES silver (id, customerId, customerLevel) VALUES ('known', 3, 'silver');
ASSERT VALUES platinum (id, customerId, customerLevel) VALUES ('early', 1, 'platinum');
ASSERT VALUES orders_without_customer (id, customerId) VALUES ('early', 1);
ASSERT VALUES orders_without_customer (id, customerId) VALUES ('never', 2);

--@test: an order is routed once, whatever becomes of it and of its customer
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'VALIDATED', 'UNDERPANTS', 3, 5.00, 2);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'platinum', 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 4);
ASSERT VALUES gold (id, customerId, customerLevel) VALUES ('0', 15, 'gold');
ASSERT VALUES platinum (id, customerId, customerLevel) VALUES ('1', 15, 'platinum');

--@test: a customer of whom only the id is left counts as bronze
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, 'Franz', 'Kafka', 'franz@example.com', 'gold', 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('0', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 1);
INSERT INTO customers (id, firstName, lastName, email, level, rowtime) VALUES (15, NULL, NULL, NULL, NULL, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'CREATED', 'UNDERPANTS', 3, 5.00, 3);
ASSERT VALUES gold (id, customerId, customerLevel) VALUES ('0', 15, 'gold');
ASSERT VALUES bronze (id, customerId, customerLevel) VALUES ('1', 15, 'bronze');
