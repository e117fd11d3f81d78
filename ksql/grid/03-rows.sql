-- One row an order, as the grid's program reads it.

CREATE TABLE order_rows
  WITH (KAFKA_TOPIC = 'order-rows') AS
  SELECT
    o.id AS id,
    o.customerId AS customerId,
    o.state AS state,
    o.product AS product,
    o.quantity AS quantity,
    o.price AS price,
    o.reasons AS reasons,
    o.version AS version,
    o.firstName AS firstName,
    o.lastName AS lastName,
    o.level AS level,
    p.paymentId AS paymentId,
    p.amount AS paid,
    p.ccy AS ccy
  FROM order_customer o
  LEFT JOIN order_payment p ON o.id = p.orderId
  EMIT CHANGES;
