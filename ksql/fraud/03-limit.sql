-- The rule, by itself and without state, so that it can be edited in place:
-- change the limit in ../variables.yaml or the text here, and apply.

CREATE STREAM fraud_validations
  WITH (KAFKA_TOPIC = 'fraud-validations', VALUE_FORMAT = 'JSON') AS
  SELECT
    orderId,
    'FRAUD_CHECK' AS checkType,
    CASE WHEN total >= ${fraud_limit} THEN 'FAIL' ELSE 'PASS' END AS validationResult,
    'orders of the hour: ' + CAST(total AS STRING) + ', limit: ${fraud_limit}' AS reason
  FROM fraud_totals
  WHERE orderId IS NOT NULL
  PARTITION BY orderId
  EMIT CHANGES;
