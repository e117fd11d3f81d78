-- Orders by product, each state of them, so that one instance of the inventory
-- program sees everything of a product: what is to be reserved, released and
-- moved.

CREATE STREAM orders_by_product
  WITH (KAFKA_TOPIC = 'orders-by-product') AS
  SELECT product, id, customerId, state, quantity, price
  FROM orders
  WHERE product IS NOT NULL
  PARTITION BY product
  EMIT CHANGES;
