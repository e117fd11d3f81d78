-- What fulfilment reads. It has no program: this folder is the whole service.

CREATE STREAM orders (
    id STRING KEY,
    customerId BIGINT,
    state STRING,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');

CREATE STREAM payments (
    id STRING KEY,
    orderId STRING,
    ccy STRING,
    amount DECIMAL(12, 2)
  ) WITH (KAFKA_TOPIC = 'payments', VALUE_FORMAT = 'JSON');
