-- The orders, as the orders service writes them.

CREATE STREAM orders (
    id STRING KEY,
    customerId BIGINT,
    state STRING,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
