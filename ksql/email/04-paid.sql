-- Orders that are paid. The first query is the rule, by itself and without
-- state: which orders get a mail. The second joins them with their payments,
-- whichever comes first, up to an hour apart.

CREATE STREAM orders_to_mail
  WITH (KAFKA_TOPIC = 'orders-to-mail') AS
  SELECT id, customerId, product, quantity, price
  FROM orders
  WHERE state = 'VALIDATED'
  EMIT CHANGES;

CREATE STREAM paid_orders
  WITH (KAFKA_TOPIC = 'paid-orders') AS
  SELECT
    o.id AS orderId,
    o.customerId AS customerId,
    o.product AS product,
    o.quantity AS quantity,
    o.price AS price,
    p.id AS paymentId,
    p.amount AS amount,
    p.ccy AS ccy
  FROM orders_to_mail o
  JOIN payments p WITHIN 1 HOUR GRACE PERIOD 1 DAY ON o.id = p.orderId
  EMIT CHANGES;
