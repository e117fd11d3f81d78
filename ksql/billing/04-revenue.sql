-- Revenue, of the invoices: for pull queries by customer, product and day.

CREATE TABLE revenue_by_customer
  WITH (KAFKA_TOPIC = 'revenue-by-customer') AS
  SELECT
    customerId,
    COUNT(*) AS invoices,
    SUM(amount) AS revenue
  FROM invoices
  GROUP BY customerId
  EMIT CHANGES;

CREATE TABLE revenue_by_product
  WITH (KAFKA_TOPIC = 'revenue-by-product') AS
  SELECT
    product,
    COUNT(*) AS invoices,
    SUM(quantity) AS sold,
    SUM(amount) AS revenue
  FROM invoices
  GROUP BY product
  EMIT CHANGES;

CREATE TABLE revenue_by_day
  WITH (KAFKA_TOPIC = 'revenue-by-day') AS
  SELECT
    day,
    COUNT(*) AS invoices,
    SUM(amount) AS revenue
  FROM invoices
  GROUP BY day
  EMIT CHANGES;
