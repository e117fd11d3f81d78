-- What the grid shows: orders with their customers and payments, all as tables,
-- so that each is completed whenever its parts come and change.

CREATE TABLE orders (
    id STRING PRIMARY KEY,
    customerId BIGINT,
    state STRING,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2),
    reasons ARRAY<STRING>,
    version INT
  ) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');

CREATE TABLE customers (
    id BIGINT PRIMARY KEY,
    firstName STRING,
    lastName STRING,
    email STRING,
    address STRING,
    level STRING
  ) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');

CREATE STREAM payments (
    id STRING KEY,
    orderId STRING,
    ccy STRING,
    amount DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'payments', VALUE_FORMAT = 'JSON');
