-- What is to be charged: an order's value, once it is VALIDATED. The rule stands
-- by itself and without state, so that it can be edited in place.

CREATE STREAM payment_requests
  WITH (KAFKA_TOPIC = 'payment-requests') AS
  SELECT
    id,
    customerId,
    ${currency} AS ccy,
    CAST(quantity * price AS DECIMAL(12, 2)) AS amount
  FROM orders
  WHERE state = 'VALIDATED'
  EMIT CHANGES;
