--@test: revenue by customer, product and day, each order once
--@run: ../01-sources.sql
--@run: ../02-paid.sql
--@run: ../03-invoices.sql
--@run: ../04-revenue.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('1', 15, 'VALIDATED', 'SOCKS', 3, 5.00, 1);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p1', '1', 'EUR', 15.00, 2);
INSERT INTO orders (id, customerId, state, product, quantity, price, rowtime) VALUES ('2', 15, 'VALIDATED', 'HATS', 1, 20.00, 3);
INSERT INTO payments (id, orderId, ccy, amount, rowtime) VALUES ('p2', '2', 'EUR', 20.00, 86400000);
ASSERT VALUES revenue_by_customer (customerId, invoices, revenue) VALUES (15, 1, 15.00);
ASSERT VALUES revenue_by_customer (customerId, invoices, revenue) VALUES (15, 2, 35.00);
ASSERT VALUES revenue_by_product (product, invoices, sold, revenue) VALUES ('SOCKS', 1, 3, 15.00);
ASSERT VALUES revenue_by_product (product, invoices, sold, revenue) VALUES ('HATS', 1, 1, 20.00);
ASSERT VALUES revenue_by_day (day, invoices, revenue) VALUES ('1970-01-01', 1, 15.00);
ASSERT VALUES revenue_by_day (day, invoices, revenue) VALUES ('1970-01-02', 1, 20.00);
