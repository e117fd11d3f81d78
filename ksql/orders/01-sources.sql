-- What the orders service reads. `orders` is written by its program alone; the
-- validators own a topic each.

CREATE STREAM orders (
    id STRING KEY,
    customerId BIGINT,
    state STRING,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2),
    reasons ARRAY<STRING>,
    version INT
  ) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');

CREATE STREAM fraud_validations (
    orderId STRING KEY,
    checkType STRING,
    validationResult STRING,
    reason STRING
  ) WITH (KAFKA_TOPIC = 'fraud-validations', VALUE_FORMAT = 'JSON');

CREATE STREAM inventory_validations (
    orderId STRING KEY,
    checkType STRING,
    validationResult STRING,
    reason STRING
  ) WITH (KAFKA_TOPIC = 'inventory-validations', VALUE_FORMAT = 'JSON');

CREATE STREAM details_validations (
    orderId STRING KEY,
    checkType STRING,
    validationResult STRING,
    reason STRING
  ) WITH (KAFKA_TOPIC = 'details-validations', VALUE_FORMAT = 'JSON');
