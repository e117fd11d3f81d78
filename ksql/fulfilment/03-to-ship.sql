-- The rule of what may leave the warehouse, by itself and without state, so that
-- it can be edited in place: what is paid in full. An order that is paid twice
-- comes twice; shipping sends it once.

CREATE STREAM orders_to_ship
  WITH (KAFKA_TOPIC = 'orders-to-ship') AS
  SELECT orderId, customerId, product, quantity, paymentId
  FROM order_payments
  WHERE amount >= quantity * price
  EMIT CHANGES;
