--@test: a product costs what the list says until it is in demand, and again afterwards
--@run: ../01-sources.sql
--@run: ../02-demand.sql
--@run: ../03-prices.sql
INSERT INTO products (product, listPrice, rowtime) VALUES ('SOCKS', 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 1, 'CREATED', 'SOCKS', 10, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 1, 'CREATED', 'SOCKS', 190, 5.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('3', 1, 'CREATED', 'SOCKS', 800, 5.50, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('4', 1, 'CREATED', 'SOCKS', 1, 6.00, 300000);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 5.00, 0);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 5.00, 1);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 5.50, 2);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 6.00, 3);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 5.00, 300000);

--@test: what was ordered is counted once, and what takes nothing is not
--@run: ../01-sources.sql
--@run: ../02-demand.sql
--@run: ../03-prices.sql
INSERT INTO products (product, listPrice, rowtime) VALUES ('SOCKS', 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 1, 'CREATED', 'SOCKS', 100, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 1, 'VALIDATED', 'SOCKS', 100, 5.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 1, 'CREATED', 'SOCKS', -500, 5.00, 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('3', 1, 'CREATED', 'SOCKS', 1, 5.00, 4);
ASSERT VALUES demand_with_price (product, wanted, listPrice) VALUES ('SOCKS', 100, 5.00);
ASSERT VALUES demand_with_price (product, wanted, listPrice) VALUES ('SOCKS', 101, 5.00);

--@test: a product that isn't on the list has no price
--@run: ../01-sources.sql
--@run: ../02-demand.sql
--@run: ../03-prices.sql
INSERT INTO products (product, listPrice, rowtime) VALUES ('SOCKS', 5.00, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 1, 'CREATED', 'MOONS', 1, 5.00, 1);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 1, 'CREATED', 'SOCKS', 1, 5.00, 2);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 5.00, 0);
ASSERT VALUES product_prices (product, price, rowtime) VALUES ('SOCKS', 5.00, 2);
