-- A topic for each customer level. A level that nobody knows, or none, goes to
-- bronze: nothing is dropped.

CREATE STREAM platinum
  WITH (KAFKA_TOPIC = 'platinum') AS
  SELECT id, customerId, 'platinum' AS customerLevel
  FROM enriched_orders
  WHERE LCASE(level) = 'platinum'
  EMIT CHANGES;

CREATE STREAM gold
  WITH (KAFKA_TOPIC = 'gold') AS
  SELECT id, customerId, 'gold' AS customerLevel
  FROM enriched_orders
  WHERE LCASE(level) = 'gold'
  EMIT CHANGES;

CREATE STREAM silver
  WITH (KAFKA_TOPIC = 'silver') AS
  SELECT id, customerId, 'silver' AS customerLevel
  FROM enriched_orders
  WHERE LCASE(level) = 'silver'
  EMIT CHANGES;

CREATE STREAM bronze
  WITH (KAFKA_TOPIC = 'bronze') AS
  SELECT id, customerId, 'bronze' AS customerLevel
  FROM enriched_orders
  WHERE level IS NULL OR LCASE(level) NOT IN ('platinum', 'gold', 'silver')
  EMIT CHANGES;
