-- The rule.

CREATE STREAM fraud_validations AS
  SELECT id, total >= ${fraud_limit} AS bad FROM fraud_totals EMIT CHANGES;
