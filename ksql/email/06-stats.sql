-- What was sent, for GET /admin/stats and GET /admin/held: pull queries that
-- any replica can ask, and that survive every restart.

CREATE TABLE emails_by_level
  WITH (KAFKA_TOPIC = 'emails-by-level') AS
  SELECT
    COALESCE(LCASE(level), 'none') AS level,
    COUNT(*) AS sent
  FROM emails_sent
  WHERE status = 'SENT'
  GROUP BY COALESCE(LCASE(level), 'none')
  EMIT CHANGES;

CREATE TABLE emails_by_hour
  WITH (KAFKA_TOPIC = 'emails-by-hour') AS
  SELECT
    COALESCE(LCASE(level), 'none') AS level,
    COUNT(*) AS sent
  FROM emails_sent
  WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 30 DAYS, GRACE PERIOD 1 DAY)
  WHERE status = 'SENT'
  GROUP BY COALESCE(LCASE(level), 'none')
  EMIT CHANGES;

-- Every order's mail as it stands. A SOURCE table is one that can be asked.
CREATE SOURCE TABLE emails_view (
    orderId STRING PRIMARY KEY,
    `TO` STRING,
    level STRING,
    kind STRING,
    status STRING,
    reason STRING,
    messageId STRING,
    attempts INT,
    createdAt BIGINT,
    sentAt BIGINT
  ) WITH (KAFKA_TOPIC = 'emails-sent', VALUE_FORMAT = 'JSON');

CREATE TABLE emails_by_order (
    orderId STRING PRIMARY KEY,
    status STRING
  ) WITH (KAFKA_TOPIC = 'emails-sent', VALUE_FORMAT = 'JSON');

CREATE TABLE emails_by_status
  WITH (KAFKA_TOPIC = 'emails-by-status') AS
  SELECT
    status,
    COUNT(*) AS emails
  FROM emails_by_order
  GROUP BY status
  EMIT CHANGES;
