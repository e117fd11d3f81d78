-- What is mailed: a paid order with its customer. Both sides are tables by order,
-- so either may come first, however long the other takes. An order that is paid
-- twice comes twice; the program sends one mail an order.

CREATE TABLE paid_orders_by_order (
    orderId STRING PRIMARY KEY,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2),
    paymentId STRING,
    amount DECIMAL(12, 2),
    ccy STRING
  ) WITH (KAFKA_TOPIC = 'paid-orders', VALUE_FORMAT = 'JSON');

CREATE TABLE enriched_orders_by_order (
    orderId STRING PRIMARY KEY,
    customerId BIGINT,
    firstName STRING,
    lastName STRING,
    email STRING,
    level STRING
  ) WITH (KAFKA_TOPIC = 'enriched-orders', VALUE_FORMAT = 'JSON');

CREATE TABLE mailable_orders
  WITH (KAFKA_TOPIC = 'mailable-orders') AS
  SELECT
    p.orderId AS orderId,
    e.customerId AS customerId,
    p.product AS product,
    p.quantity AS quantity,
    p.price AS price,
    p.paymentId AS paymentId,
    p.amount AS amount,
    p.ccy AS ccy,
    e.firstName AS firstName,
    e.lastName AS lastName,
    e.email AS email,
    e.level AS level
  FROM paid_orders_by_order p
  JOIN enriched_orders_by_order e ON p.orderId = e.orderId
  EMIT CHANGES;

CREATE STREAM mailable_order_rows (
    orderId STRING KEY,
    customerId BIGINT,
    product STRING,
    quantity INT,
    price DECIMAL(12, 2),
    paymentId STRING,
    amount DECIMAL(12, 2),
    ccy STRING,
    firstName STRING,
    lastName STRING,
    email STRING,
    level STRING
  ) WITH (KAFKA_TOPIC = 'mailable-orders', VALUE_FORMAT = 'JSON');

-- The row that the program gets, without state, so that it can be edited in
-- place. `kind` names the mail's template.
CREATE STREAM order_emails
  WITH (KAFKA_TOPIC = 'order-emails') AS
  SELECT
    orderId,
    customerId,
    product,
    quantity,
    price,
    paymentId,
    amount,
    ccy,
    firstName,
    lastName,
    email,
    level,
    CASE WHEN LCASE(level) = 'platinum' THEN 'platinum' ELSE 'order' END AS kind
  FROM mailable_order_rows
  EMIT CHANGES;

CREATE STREAM platinum_emails
  WITH (KAFKA_TOPIC = 'platinum-emails') AS
  SELECT
    orderId,
    customerId,
    product,
    quantity,
    price,
    paymentId,
    amount,
    ccy,
    firstName,
    lastName,
    email,
    level,
    kind
  FROM order_emails
  WHERE kind = 'platinum'
  EMIT CHANGES;
