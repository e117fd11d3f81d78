// Package topics reads topics.yaml: what each topic holds, how it is kept, who
// owns it; and makes of it the access rules of Kafka, so that nobody but its
// owner writes a topic.
//
// In: topics.yaml. Out: a [Topic] each, or every mistake with its line; and with
// [Rules] an access rule (ACL) each: principal × resource × operation.
//
// # Principals
//
// A pod has two, named as topics.yaml names owners: orders, its program, and
// orders-sql, its sidecar and the applier beside it. What they need besides their
// topics follows from these names:
//
//   - A program has consumer groups and transactional ids that are called or begin
//     with its name and a hyphen (orders, orders-0).
//   - A sidecar has ksqlDB's service id orders_ (the program's name and an
//     underscore), and everything that begins with it: internal topics, groups and
//     transactional ids _confluent-ksql-orders_…, the processing log
//     orders_ksql_processing_log; and the embedded engine's _sidestream-orders_….
//
// What a sidecar owns it owns in every version: where a query can't be changed in
// place, its applier makes fraud-validations_v2 beside fraud-validations.
//
// Nobody makes or deletes topics of topics.yaml but the administrator who runs
// `sidestream topics apply` and `sidestream topics acls --apply`.
//
// Next: package deploy makes the topics, [Apply] the rules; the chart makes
// Strimzi's KafkaTopics and KafkaUsers of the same rules.
package topics
