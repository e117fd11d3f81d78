--@test: three passed checks make an order VALIDATED
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'PASS', 'stock', 2);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 3);
ASSERT VALUES order_verdicts (id, customerId, product, quantity, price, state, rowtime) VALUES ('1', 7, 'JUMPERS', 1, 5.00, 'VALIDATED', 3);

--@test: the first failed check makes it FAILED, with the reason
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'FAIL', 'nobody stocks JUMPERS', 2);
ASSERT VALUES order_verdicts (id, customerId, product, quantity, price, state, reasons, rowtime) VALUES ('1', 7, 'JUMPERS', 1, 5.00, 'FAILED', ARRAY['INVENTORY_CHECK: nobody stocks JUMPERS'], 2);

--@test: a second failure repeats the row with both reasons
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'FAIL', 'stock', 2);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'FAIL', 'fields', 3);
ASSERT VALUES order_verdicts (id, customerId, product, quantity, price, state, reasons, rowtime) VALUES ('1', 7, 'JUMPERS', 1, 5.00, 'FAILED', ARRAY['INVENTORY_CHECK: stock'], 2);
ASSERT VALUES order_verdicts (id, customerId, product, quantity, price, state, reasons, rowtime) VALUES ('1', 7, 'JUMPERS', 1, 5.00, 'FAILED', ARRAY['INVENTORY_CHECK: stock', 'ORDER_DETAILS_CHECK: fields'], 3);

--@test: one check delivered three times is one check
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 2);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('2', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 4);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('2', 'FRAUD_CHECK', 'PASS', 'total', 5);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('2', 'INVENTORY_CHECK', 'PASS', 'stock', 6);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('2', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 7);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('2', 'VALIDATED', 7);

--@test: checks that came before the order are counted
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'PASS', 'stock', 2);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 5);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('1', 'VALIDATED', 5);

--@test: a check that nobody requires counts for nothing
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'PASS', 'stock', 2);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'TASTE_CHECK', 'FAIL', 'no taste', 3);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 4);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('1', 'VALIDATED', 4);

--@test: an answer of ERROR is a failure, a missing reason is said
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'ERROR', NULL, 3);
ASSERT VALUES order_verdicts (id, customerId, product, quantity, price, state, reasons, rowtime) VALUES ('1', 7, 'JUMPERS', 1, 5.00, 'FAILED', ARRAY['ORDER_DETAILS_CHECK: no reason given'], 3);

--@test: a check that comes hours late still counts
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'PASS', 'stock', 2);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 21600000);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('1', 'VALIDATED', 21600000);

--@test: scenario 6: one order passes, one fails its details
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('0', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('0', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('0', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 2);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('0', 'INVENTORY_CHECK', 'PASS', 'stock', 3);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 4);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'FAIL', 'fields', 5);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'PASS', 'stock', 6);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('0', 'VALIDATED', 3);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('1', 'FAILED', 5);

--@test: the final state of an order asks for no new verdict
--@run: ../01-sources.sql
--@run: ../02-view.sql
--@run: ../03-validations.sql
--@run: ../04-verdicts.sql
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 0);
INSERT INTO fraud_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'FRAUD_CHECK', 'PASS', 'total', 1);
INSERT INTO inventory_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'INVENTORY_CHECK', 'PASS', 'stock', 2);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('1', 'ORDER_DETAILS_CHECK', 'PASS', 'fields', 3);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('1', 7, 'VALIDATED', 'JUMPERS', 1, 5.00, 1, 4);
INSERT INTO orders (id, customerId, state, product, quantity, price, version, rowtime) VALUES ('2', 7, 'CREATED', 'JUMPERS', 1, 5.00, 1, 5);
INSERT INTO details_validations (orderId, checkType, validationResult, reason, rowtime) VALUES ('2', 'ORDER_DETAILS_CHECK', 'FAIL', 'fields', 6);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('1', 'VALIDATED', 3);
ASSERT VALUES order_verdicts (id, state, rowtime) VALUES ('2', 'FAILED', 6);
