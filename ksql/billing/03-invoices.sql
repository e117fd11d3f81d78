-- One invoice an order, by its first payment: a payment that comes twice bills
-- nobody twice. The invoice's number is the order's.

CREATE TABLE invoices
  WITH (KAFKA_TOPIC = 'invoices') AS
  SELECT
    orderId,
    'INV-' + orderId AS invoiceId,
    EARLIEST_BY_OFFSET(customerId) AS customerId,
    EARLIEST_BY_OFFSET(product) AS product,
    EARLIEST_BY_OFFSET(quantity) AS quantity,
    EARLIEST_BY_OFFSET(paymentId) AS paymentId,
    EARLIEST_BY_OFFSET(ccy) AS ccy,
    EARLIEST_BY_OFFSET(amount) AS amount,
    EARLIEST_BY_OFFSET(day) AS day
  FROM billed_payments
  GROUP BY orderId
  EMIT CHANGES;
