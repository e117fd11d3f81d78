-- The price that is asked now. The rule stands by itself and without state, so
-- that it can be edited in place: change the limits in ../variables.yaml or the
-- factors here, and apply. Demand counts anew every five minutes, so that the
-- first order of a quiet time brings the price down again.

CREATE STREAM product_prices
  WITH (KAFKA_TOPIC = 'product-prices') AS
  SELECT
    product,
    CAST(
      CASE
        WHEN wanted >= ${rush_from} THEN listPrice * 1.20
        WHEN wanted >= ${busy_from} THEN listPrice * 1.10
        ELSE listPrice * 1.00
      END AS DECIMAL(12, 2)) AS price
  FROM demand_with_price
  EMIT CHANGES;

-- A product that nobody has ordered yet costs what the list says.
INSERT INTO product_prices WITH (QUERY_ID = 'list_prices')
  SELECT product, listPrice AS price
  FROM product_changes
  EMIT CHANGES;
