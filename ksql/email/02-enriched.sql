-- Each new order with its customer. A customer may come after the order: then the
-- order's row waits in a table until the customer is there. So no order is
-- dropped, and each comes once (those that waited come again when their customer
-- changes).
--@lint: allow SL002 those without a customer wait in waiting_orders, below

CREATE STREAM orders_with_customer
  WITH (KAFKA_TOPIC = 'orders-with-customer') AS
  SELECT
    o.id AS id,
    o.customerId AS customerId,
    c.id AS knownId,
    c.firstName AS firstName,
    c.lastName AS lastName,
    c.email AS email,
    c.level AS level
  FROM orders o
  LEFT JOIN customers c ON o.customerId = c.id
  WHERE o.state = 'CREATED'
  PARTITION BY o.id
  EMIT CHANGES;

CREATE STREAM orders_without_customer
  WITH (KAFKA_TOPIC = 'orders-without-customer') AS
  SELECT id, customerId
  FROM orders_with_customer
  WHERE knownId IS NULL
  EMIT CHANGES;

CREATE TABLE waiting_orders (
    id STRING PRIMARY KEY,
    customerId BIGINT
  ) WITH (KAFKA_TOPIC = 'orders-without-customer', VALUE_FORMAT = 'JSON');

CREATE TABLE late_customers
  WITH (KAFKA_TOPIC = 'orders-with-late-customer') AS
  SELECT
    w.id AS id,
    w.customerId AS customerId,
    c.firstName AS firstName,
    c.lastName AS lastName,
    c.email AS email,
    c.level AS level
  FROM waiting_orders w
  JOIN customers c ON w.customerId = c.id
  EMIT CHANGES;

-- A table's rows become a stream's by declaring its topic as one.
CREATE STREAM late_customer_rows (
    id STRING KEY,
    customerId BIGINT,
    firstName STRING,
    lastName STRING,
    email STRING,
    level STRING
  ) WITH (KAFKA_TOPIC = 'orders-with-late-customer', VALUE_FORMAT = 'JSON');

CREATE STREAM enriched_orders
  WITH (KAFKA_TOPIC = 'enriched-orders') AS
  SELECT id, customerId, firstName, lastName, email, level
  FROM orders_with_customer
  WHERE knownId IS NOT NULL
  EMIT CHANGES;

INSERT INTO enriched_orders WITH (QUERY_ID = 'orders_with_late_customer')
  SELECT id, customerId, firstName, lastName, email, level
  FROM late_customer_rows
  EMIT CHANGES;
