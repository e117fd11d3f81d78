-- The latest state of every order, for GET /v1/orders/{id}: a pull query by key
-- on this table finds the row on whichever node has it.

CREATE SOURCE TABLE orders_view (
    id STRING PRIMARY KEY,
    customerId BIGINT,
    state STRING,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2),
    reasons ARRAY<STRING>,
    version INT
  ) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
