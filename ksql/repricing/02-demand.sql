-- How much of each product was ordered in the last five minutes, order by order.
-- An order that takes nothing (a negative quantity) adds nothing.

CREATE TABLE product_demand
  WITH (KAFKA_TOPIC = 'product-demand') AS
  SELECT
    product,
    AS_VALUE(product) AS name,
    SUM(quantity) AS wanted
  FROM orders
  WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 1 HOUR)
  WHERE state = 'CREATED' AND quantity > 0
  GROUP BY product
  EMIT CHANGES;

-- A windowed table's topic can be read as a stream, with the product in the value.
CREATE STREAM demand_changes (
    name STRING,
    wanted INT
  ) WITH (KAFKA_TOPIC = 'product-demand', VALUE_FORMAT = 'JSON');

--@lint: allow SL003 a product without a list price has no price yet that demand could change
CREATE STREAM demand_with_price
  WITH (KAFKA_TOPIC = 'demand-with-price') AS
  SELECT
    d.name AS product,
    d.wanted AS wanted,
    p.listPrice AS listPrice
  FROM demand_changes d
  JOIN products p ON d.name = p.product
  EMIT CHANGES;
