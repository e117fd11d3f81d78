-- Validated orders with their payments, whichever comes first, up to a week apart.

CREATE STREAM validated_orders
  WITH (KAFKA_TOPIC = 'validated-orders') AS
  SELECT id, customerId, product, quantity, price
  FROM orders
  WHERE state = 'VALIDATED'
  EMIT CHANGES;

CREATE STREAM order_payments
  WITH (KAFKA_TOPIC = 'order-payments') AS
  SELECT
    o.id AS orderId,
    o.customerId AS customerId,
    o.product AS product,
    o.quantity AS quantity,
    o.price AS price,
    p.id AS paymentId,
    p.amount AS amount
  FROM validated_orders o
  JOIN payments p WITHIN 7 DAYS GRACE PERIOD 1 DAY ON o.id = p.orderId
  EMIT CHANGES;
