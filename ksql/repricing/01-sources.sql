-- What repricing reads: the orders, and the shop's list prices. It has no
-- program: this folder is the whole service.

CREATE STREAM orders (
    id STRING KEY,
    customerId BIGINT,
    state STRING,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');

CREATE TABLE products (
    product STRING PRIMARY KEY,
    listPrice DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'products', VALUE_FORMAT = 'JSON');

-- The same topic as events: each change of a list price.
CREATE STREAM product_changes (
    product STRING KEY,
    listPrice DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'products', VALUE_FORMAT = 'JSON');
