-- The payment of each order, the last one where there are several.

CREATE TABLE order_payment
  WITH (KAFKA_TOPIC = 'order-payment') AS
  SELECT
    orderId,
    LATEST_BY_OFFSET(id) AS paymentId,
    LATEST_BY_OFFSET(ccy) AS ccy,
    LATEST_BY_OFFSET(amount) AS amount
  FROM payments
  GROUP BY orderId
  EMIT CHANGES;

-- Each order with its customer, who may come later: a row is there at once, with
-- empty cells.
CREATE TABLE order_customer
  WITH (KAFKA_TOPIC = 'order-customer') AS
  SELECT
    o.id AS id,
    o.customerId AS customerId,
    o.state AS state,
    o.product AS product,
    o.quantity AS quantity,
    o.price AS price,
    o.reasons AS reasons,
    o.version AS version,
    c.firstName AS firstName,
    c.lastName AS lastName,
    c.level AS level
  FROM orders o
  LEFT JOIN customers c ON o.customerId = c.id
  EMIT CHANGES;
