-- What each customer has ordered in the hour, order by order. An order that
-- takes nothing (a negative quantity or price) adds nothing, or it would make
-- room for the next one.
--
-- With the cache off each order changes its window once, so each gets one row
-- here and one answer, late ones included as long as the grace period lasts.

CREATE TABLE fraud_window
  WITH (KAFKA_TOPIC = 'fraud-window') AS
  SELECT
    customerId,
    LATEST_BY_OFFSET(id) AS orderId,
    SUM(CASE
      WHEN quantity > 0 AND price > 0 THEN quantity * price
      ELSE CAST(0 AS DECIMAL(23, 2))
    END) AS total
  FROM orders
  WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 7 DAYS)
  WHERE state = 'CREATED'
  GROUP BY customerId
  EMIT CHANGES;

-- A windowed table can't be queried further or given another key. Its topic can
-- be read as a stream: without the windowed key, with the order's id in the value.
CREATE STREAM fraud_totals (
    orderId STRING,
    total DECIMAL(23, 2)
  ) WITH (KAFKA_TOPIC = 'fraud-window', VALUE_FORMAT = 'JSON');
