--@test: every state of an order goes to its product's partition
--@run: ../01-sources.sql
--@run: ../02-by-product.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 3, 5.00, 10);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 7, 'FAILED', 'JUMPERS', 3, 5.00, 11);
ASSERT VALUES orders_by_product (product, id, customerId, state, quantity, price, rowtime) VALUES ('JUMPERS', '1', 7, 'CREATED', 3, 5.00, 10);
ASSERT VALUES orders_by_product (product, id, customerId, state, quantity, price, rowtime) VALUES ('JUMPERS', '1', 7, 'FAILED', 3, 5.00, 11);

--@test: an order without a product is for the details check to refuse
--@run: ../01-sources.sql
--@run: ../02-by-product.sql
INSERT INTO orders (id, customerId, state, quantity, price) VALUES ('1', 7, 'CREATED', 3, 5.00);
INSERT INTO orders (id, customerId, state, product, quantity, price) VALUES ('2', 7, 'CREATED', 'JUMPERS', 3, 5.00);
ASSERT VALUES orders_by_product (product, id) VALUES ('JUMPERS', '2');
