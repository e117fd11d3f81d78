-- The verdict on an order: FAILED at its first failed check, VALIDATED when each
-- of the required checks has passed. Distinct checks are counted, so that one
-- check delivered three times is one check.
--
-- The row comes again when another check of a decided order comes in; the
-- orders program makes one final state of it. It also gives every order its end
-- when a check stays away.
--@lint: allow SL010 which checks are required is counted in the join itself; a new one is a new version, built anew

CREATE TABLE order_verdicts
  WITH (KAFKA_TOPIC = 'order-verdicts') AS
  SELECT
    v.orderId AS id,
    LATEST_BY_OFFSET(o.customerId) AS customerId,
    LATEST_BY_OFFSET(o.product) AS product,
    LATEST_BY_OFFSET(o.quantity) AS quantity,
    LATEST_BY_OFFSET(o.price) AS price,
    CASE
      WHEN MAX(CASE WHEN v.validationResult = 'PASS' THEN 0 ELSE 1 END) = 1 THEN 'FAILED'
      ELSE 'VALIDATED'
    END AS state,
    FILTER(
      COLLECT_SET(
        CASE
          WHEN v.validationResult = 'PASS' THEN CAST(NULL AS STRING)
          ELSE v.checkType + ': ' + COALESCE(v.reason, 'no reason given')
        END),
      r => r IS NOT NULL) AS reasons
  FROM order_validations v
  JOIN orders o WITHIN 1 DAY GRACE PERIOD 1 HOUR ON v.orderId = o.id
  WHERE o.state = 'CREATED' AND v.checkType IN (${required_checks})
  GROUP BY v.orderId
  HAVING MAX(CASE WHEN v.validationResult = 'PASS' THEN 0 ELSE 1 END) = 1
      OR COUNT_DISTINCT(v.checkType) >= ${required_check_count}
  EMIT CHANGES;
