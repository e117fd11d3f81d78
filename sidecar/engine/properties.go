package engine

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/runtime"
)

// property is a setting that statements may change, or that SHOW PROPERTIES
// shows.
type property struct {
	value    string // default
	editable bool
	level    string
}

// properties are the ksqlDB settings that mean something to this engine.
var properties = map[string]property{
	"ksql.service.id":                                  {"default_", false, "SERVER"},
	"ksql.streams.auto.offset.reset":                   {"latest", true, "SERVER"},
	"ksql.streams.commit.interval.ms":                  {"100", true, "SERVER"},
	"ksql.streams.processing.guarantee":                {"exactly_once_v2", true, "SERVER"},
	"ksql.streams.cache.max.bytes.buffering":           {"0", true, "SERVER"},
	"ksql.streams.bootstrap.servers":                   {"", false, "SERVER"},
	"ksql.streams.state.dir":                           {"", false, "SERVER"},
	"ksql.output.topic.name.prefix":                    {"", false, "SERVER"},
	"ksql.persistence.default.format.key":              {"KAFKA", false, "SERVER"},
	"ksql.persistence.default.format.value":            {"", false, "SERVER"},
	"ksql.persistence.wrap.single.values":              {"", false, "SERVER"},
	"ksql.variable.substitution.enable":                {"true", false, "SERVER"},
	"ksql.headers.columns.enabled":                     {"true", false, "SERVER"},
	"ksql.lambdas.enabled":                             {"true", false, "SERVER"},
	"ksql.insert.into.values.enabled":                  {"true", false, "SERVER"},
	"ksql.create.or.replace.enabled":                   {"true", false, "SERVER"},
	"ksql.source.table.materialization.enabled":        {"true", false, "SERVER"},
	"ksql.pull.queries.enable":                         {"true", false, "SERVER"},
	"ksql.query.pull.stream.enabled":                   {"true", false, "SERVER"},
	"ksql.query.pull.range.scan.enabled":               {"true", false, "SERVER"},
	"ksql.query.pull.table.scan.enabled":               {"true", true, "QUERY"},
	"ksql.query.pull.limit.clause.enabled":             {"true", false, "SERVER"},
	"ksql.endpoint.migrate.query":                      {"true", false, "SERVER"},
	"ksql.max.push.queries":                            {"100", false, "SERVER"},
	"ksql.cast.strings.preserve.nulls":                 {"true", true, "QUERY"},
	"ksql.nested.error.set.null":                       {"true", true, "QUERY"},
	"ksql.timestamp.throw.on.invalid":                  {"false", true, "QUERY"},
	"ksql.fail.on.deserialization.error":               {"false", false, "SERVER"},
	"ksql.functions.collect_list.limit":                {"", false, "SERVER"},
	"ksql.functions.collect_set.limit":                 {"", false, "SERVER"},
	"ksql.logging.processing.topic.name":               {"", false, "SERVER"},
	"ksql.logging.processing.stream.auto.create":       {"true", false, "SERVER"},
	"ksql.assert.topic.default.timeout.ms":             {"1000", false, "SERVER"},
	"ksql.server.command.response.timeout.ms":          {"5000", false, "SERVER"},
	"ksql.suppress.enabled":                            {"true", false, "SERVER"},
	"ksql.query.push.v2.enabled":                       {"false", false, "SERVER"},
	"ksql.internal.topic.replicas":                     {"1", false, "SERVER"},
	"ksql.sink.window.change.log.additional.retention": {"1000000", false, "SERVER"},
}

// prohibited settings can't be set by a request.
var prohibited = map[string]bool{
	"ksql.service.id": true, "bootstrap.servers": true, "ksql.streams.bootstrap.servers": true,
	"ksql.extension.dir": true, "ksql.properties.overrides.denylist": true, "ksql.query.persistent.active.limit": true,
	"ksql.streams.application.id": true, "application.id": true, "ksql.streams.state.dir": true, "state.dir": true,
}

// kafkaNames are settings of Kafka Streams and its clients that ksqlDB takes
// without a prefix. Those without a meaning here are accepted and have no effect.
var kafkaNames = strings.Fields(`acceptable.recovery.lag acks allow.auto.create.topics auto.commit.interval.ms
auto.include.jmx.reporter auto.offset.reset batch.size buffer.memory buffered.records.per.partition built.in.metrics.version
cache.max.bytes.buffering check.crcs client.dns.lookup client.id client.rack commit.interval.ms compression.type
connections.max.idle.ms default.deserialization.exception.handler default.dsl.store default.key.serde
default.production.exception.handler default.timestamp.extractor default.value.serde delivery.timeout.ms
enable.auto.commit enable.idempotence exclude.internal.topics fetch.max.bytes fetch.max.wait.ms fetch.min.bytes group.id
group.instance.id heartbeat.interval.ms interceptor.classes internal.leave.group.on.close isolation.level linger.ms
max.block.ms max.in.flight.requests.per.connection max.partition.fetch.bytes max.poll.interval.ms max.poll.records
max.request.size max.task.idle.ms max.warmup.replicas metadata.max.age.ms metric.reporters metrics.num.samples
metrics.recording.level metrics.sample.window.ms num.standby.replicas num.stream.threads partition.assignment.strategy
partitioner.class poll.ms probing.rebalance.interval.ms processing.guarantee receive.buffer.bytes reconnect.backoff.max.ms
reconnect.backoff.ms repartition.purge.interval.ms replication.factor request.timeout.ms retries retry.backoff.ms
rocksdb.config.setter sasl.jaas.config sasl.mechanism security.protocol send.buffer.bytes session.timeout.ms
state.cleanup.delay.ms statestore.cache.max.bytes task.timeout.ms topology.optimization transaction.timeout.ms
upgrade.from window.size.ms windowstore.changelog.additional.retention.ms`)

// knownProperty tells whether a request may name the setting at all.
func knownProperty(name string) bool {
	if strings.HasPrefix(name, "ksql.") || strings.HasPrefix(name, "confluent.") {
		return true
	}
	for _, prefix := range []string{"consumer.", "producer.", "main.consumer.", "restore.consumer.", "global.consumer.", "admin.", "topic.", "request.ksql."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(kafkaNames, name)
}

// ValidProperty says why a request may not set the property, or nil.
func (e *Engine) ValidProperty(name string) error {
	if prohibited[name] {
		return prohibitedError([]string{name})
	}
	return nil
}

func prohibitedError(names []string) *Error {
	return BadRequest("One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their default value): [%s]", strings.Join(names, ", "))
}

// overrides are a request's properties as text, checked.
func overrides(given map[string]any) (map[string]string, error) {
	out := map[string]string{}
	var denied []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if prohibited[name] {
			denied = append(denied, name)
			continue
		}
		v := given[name]
		if v == nil {
			continue
		}
		text := propertyText(v)
		if err := checkValue(name, text); err != nil {
			return nil, BadRequest("Failed to coerce type of value '%s' for key '%s'\nCaused by: %s", text, name, wrap(err.Error()))
		}
		out[name] = text
	}
	if denied != nil {
		return nil, prohibitedError(denied)
	}
	return out, nil
}

func propertyText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// checkValue says what is wrong with a value, in Kafka's words.
func checkValue(name, value string) error {
	switch strings.TrimPrefix(name, "ksql.streams.") {
	case "auto.offset.reset":
		if v := strings.ToLower(value); v != "latest" && v != "earliest" && v != "none" {
			return fmt.Errorf("Invalid value %s for configuration auto.offset.reset: String must be one of: latest, earliest, none", value)
		}
	case "commit.interval.ms", "cache.max.bytes.buffering", "statestore.cache.max.bytes":
		if n, err := strconv.ParseInt(value, 10, 64); err != nil {
			return fmt.Errorf("Invalid value %s for configuration %s: Not a number of type LONG", value, strings.TrimPrefix(name, "ksql.streams."))
		} else if n < 0 {
			return fmt.Errorf("Invalid value %s for configuration %s: Value must be at least 0", value, strings.TrimPrefix(name, "ksql.streams."))
		}
	case "processing.guarantee":
		switch value {
		case "at_least_once", "exactly_once", "exactly_once_beta", "exactly_once_v2":
		default:
			return fmt.Errorf("Invalid value %s for configuration processing.guarantee: String must be one of: at_least_once, exactly_once, exactly_once_beta, exactly_once_v2", value)
		}
	}
	return nil
}

// wrap breaks a cause as ksqlDB does: lines of 80 characters, the following ones
// behind a tab.
func wrap(text string) string {
	const width = 80 - len("Caused by: ")
	if len(text) <= width {
		return text
	}
	cut := strings.LastIndexByte(text[:width+1], ' ')
	if cut <= 0 {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:cut])
	rest := text[cut+1:]
	for len(rest) > 76 {
		cut = strings.LastIndexByte(rest[:77], ' ')
		if cut <= 0 {
			break
		}
		b.WriteString("\n\t" + rest[:cut])
		rest = rest[cut+1:]
	}
	b.WriteString("\n\t" + rest)
	return b.String()
}

// lookup finds a setting with or without the prefix of Kafka Streams' ones.
func lookup(config map[string]string, name string) (string, bool) {
	if v, ok := config[name]; ok {
		return v, true
	}
	v, ok := config["ksql.streams."+name]
	return v, ok
}

// options of a query that runs with this configuration.
func options(config map[string]string) runtime.Options {
	o := runtime.Options{Config: config}
	if v, ok := lookup(config, "auto.offset.reset"); ok {
		o.FromEarliest = strings.EqualFold(v, "earliest")
	}
	if v, ok := lookup(config, "processing.guarantee"); ok {
		o.AtLeastOnce = v == "at_least_once"
	}
	if v, ok := lookup(config, "commit.interval.ms"); ok {
		if ms, err := strconv.ParseInt(v, 10, 64); err == nil && ms > 0 {
			o.CommitInterval = time.Duration(ms) * time.Millisecond
		}
	}
	return o
}

// showProperties answers SHOW PROPERTIES.
func (e *Engine) showProperties(s *session, text string) Entity {
	values := map[string]string{}
	for name, p := range properties {
		values[name] = p.value
	}
	values["ksql.service.id"] = e.cfg.ServiceID
	values["ksql.streams.state.dir"] = e.cfg.StateDir
	values["ksql.streams.bootstrap.servers"] = strings.Join(e.cfg.Brokers, ",")
	changed := map[string]bool{}
	set := func(from map[string]string) {
		for name, v := range from {
			if slices.Contains(kafkaNames, name) {
				name = "ksql.streams." + name
			}
			values[name], changed[name] = v, true
		}
	}
	set(e.cfg.Properties)
	server := maps.Clone(changed)
	set(s.properties)
	out := PropertiesEntity{Type: "properties", StatementText: text, Overwritten: []string{}, DefaultValues: []string{}, Warnings: []Warning{}}
	names := slices.Collect(maps.Keys(values))
	sort.Strings(names)
	for _, name := range names {
		p, known := properties[name]
		if !known {
			p = property{editable: strings.HasPrefix(name, "ksql.streams."), level: "SERVER"}
		}
		out.Properties = append(out.Properties, PropertyInfo{name, "KSQL", values[name], p.editable, p.level})
		switch {
		case changed[name] && !server[name]:
			out.Overwritten = append(out.Overwritten, name)
		case !changed[name]:
			out.DefaultValues = append(out.DefaultValues, name)
		}
	}
	return out
}
