-- Validated orders with their payments, whichever comes first, up to a week
-- apart. The day is the one on which the later of the two came, in UTC.

CREATE STREAM orders_to_bill
  WITH (KAFKA_TOPIC = 'orders-to-bill') AS
  SELECT id, customerId, product, quantity, price
  FROM orders
  WHERE state = 'VALIDATED'
  EMIT CHANGES;

CREATE STREAM billed_payments
  WITH (KAFKA_TOPIC = 'billed-payments') AS
  SELECT
    o.id AS orderId,
    o.customerId AS customerId,
    o.product AS product,
    o.quantity AS quantity,
    p.id AS paymentId,
    p.ccy AS ccy,
    p.amount AS amount,
    FORMAT_TIMESTAMP(FROM_UNIXTIME(GREATEST(o.ROWTIME, p.ROWTIME)), 'yyyy-MM-dd', 'UTC') AS day
  FROM orders_to_bill o
  JOIN payments p WITHIN 7 DAYS GRACE PERIOD 1 DAY ON o.id = p.orderId
  EMIT CHANGES;
