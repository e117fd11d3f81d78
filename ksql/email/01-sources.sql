-- What the mails are made of. `orders` belongs to the orders service, `payments`
-- to payments, `customers` to the shop. `emails_sent` is written by the email
-- program: what it is about to send, and what became of it.

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

CREATE TABLE customers (
    id BIGINT PRIMARY KEY,
    firstName STRING,
    lastName STRING,
    email STRING,
    address STRING,
    level STRING
  ) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');

CREATE STREAM emails_sent (
    orderId STRING KEY,
    level STRING,
    kind STRING,
    status STRING,
    sentAt BIGINT
  ) WITH (KAFKA_TOPIC = 'emails-sent', VALUE_FORMAT = 'JSON');
