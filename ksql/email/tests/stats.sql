--@test: only mails that were sent count, per level
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('1', 'gold', 'order', 'SENDING', 1, 1);
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('1', 'gold', 'order', 'SENT', 2, 2);
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('2', 'Gold', 'order', 'SENT', 3, 3);
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('3', NULL, 'order', 'SENT', 4, 4);
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('4', 'silver', 'order', 'HELD', 5, 5);
ASSERT VALUES emails_by_level (level, sent) VALUES ('gold', 1);
ASSERT VALUES emails_by_level (level, sent) VALUES ('gold', 2);
ASSERT VALUES emails_by_level (level, sent) VALUES ('none', 1);

--@test: and per hour
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('1', 'gold', 'order', 'SENT', 1, 1);
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('2', 'gold', 'order', 'SENT', 3599999, 3599999);
INSERT INTO emails_sent (orderId, level, kind, status, sentAt, rowtime) VALUES ('3', 'gold', 'order', 'SENT', 3600000, 3600000);
ASSERT VALUES emails_by_hour (level, windowstart, windowend, sent) VALUES ('gold', 0, 3600000, 1);
ASSERT VALUES emails_by_hour (level, windowstart, windowend, sent) VALUES ('gold', 0, 3600000, 2);
ASSERT VALUES emails_by_hour (level, windowstart, windowend, sent) VALUES ('gold', 3600000, 7200000, 1);

--@test: an order's mail counts under the status that it has now
--@run: ../01-sources.sql
--@run: ../02-enriched.sql
--@run: ../03-levels.sql
--@run: ../04-paid.sql
--@run: ../05-emails.sql
--@run: ../06-stats.sql
INSERT INTO emails_by_order (orderId, status) VALUES ('1', 'SENDING');
INSERT INTO emails_by_order (orderId, status) VALUES ('2', 'SENDING');
INSERT INTO emails_by_order (orderId, status) VALUES ('1', 'SENT');
ASSERT VALUES emails_by_status (status, emails) VALUES ('SENDING', 1);
ASSERT VALUES emails_by_status (status, emails) VALUES ('SENDING', 2);
ASSERT VALUES emails_by_status (status, emails) VALUES ('SENDING', 1);
ASSERT VALUES emails_by_status (status, emails) VALUES ('SENT', 1);
