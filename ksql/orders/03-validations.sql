-- One topic with the answers of all validators, in the order in which they
-- came. A new validator is one more CREATE STREAM in 01-sources.sql, one more
-- INSERT here and one more name in `required_checks`.

CREATE STREAM order_validations
  WITH (KAFKA_TOPIC = 'order-validations') AS
  SELECT orderId, checkType, validationResult, reason
  FROM fraud_validations
  EMIT CHANGES;

INSERT INTO order_validations WITH (QUERY_ID = 'validations_of_inventory')
  SELECT orderId, checkType, validationResult, reason
  FROM inventory_validations
  EMIT CHANGES;

INSERT INTO order_validations WITH (QUERY_ID = 'validations_of_details')
  SELECT orderId, checkType, validationResult, reason
  FROM details_validations
  EMIT CHANGES;
