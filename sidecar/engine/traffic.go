package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/runtime"
)

// traffic adds up what the queries read of a topic and wrote to it.
type traffic struct {
	records, bytes, failed int64
	last, lastFailed       int64 // ms
}

func (t *traffic) add(from *runtime.Traffic) {
	if from == nil {
		return
	}
	t.records += from.Records.Load()
	t.bytes += from.Bytes.Load()
	t.failed += from.Failed.Load()
	t.last = max(t.last, from.Last.Load())
	t.lastFailed = max(t.lastFailed, from.LastFailed.Load())
}

// trafficOf is what all queries of the service read of a topic and wrote to it:
// ksqlDB counts by topic, whichever source it is looked at through.
func (w *world) trafficOf(topic string) (read, written traffic) {
	for _, q := range w.allQueries() {
		run := q.runner()
		if run == nil {
			continue
		}
		read.add(run.Read(topic))
		if q.topic == topic {
			written.add(run.Written())
		}
	}
	return read, written
}

// number is a Statistic with the form in which DESCRIBE EXTENDED writes it.
type number struct {
	Statistic
	text string
}

func (e *Engine) rate(name string, n, at int64) number {
	perSecond := float64(n) / max(time.Since(e.started).Seconds(), 1)
	return number{Statistic{name, e.cfg.Address, perSecond, at}, fmt.Sprintf("%.2f", perSecond)}
}

func (e *Engine) total(name string, n, at int64) number {
	return number{Statistic{name, e.cfg.Address, float64(n), at}, strconv.FormatInt(n, 10)}
}

// statistics describe the traffic of a topic: numbers, and for EXTENDED the text
// that ksqlDB's older clients show.
func (e *Engine) statistics(d *SourceDescription, w *world) {
	read, written := w.trafficOf(d.Topic)
	var good, bad []number
	if read.records > 0 {
		good = append(good, e.rate("consumer-messages-per-sec", read.records, read.last),
			e.total("consumer-total-messages", read.records, read.last), e.total("consumer-total-bytes", read.bytes, read.last))
	}
	if written.records > 0 {
		good = append(good, e.rate("messages-per-sec", written.records, written.last), e.total("total-messages", written.records, written.last))
	}
	if read.failed > 0 {
		bad = append(bad, e.total("consumer-failed-messages", read.failed, read.lastFailed), e.rate("consumer-failed-messages-per-sec", read.failed, read.lastFailed))
	}
	d.ClusterStatistics, d.ClusterErrorStats = plainNumbers(good), plainNumbers(bad)
	if d.Extended {
		d.Statistics = numbersText("statistics", good, "last-message", max(read.last, written.last))
		if d.ErrorStats = numbersText("errorStats", bad, "last-failed", read.lastFailed); d.ErrorStats != "" {
			d.ErrorStats += "\n"
		}
	}
}

func plainNumbers(list []number) []Statistic {
	out := make([]Statistic, len(list))
	for i, n := range list {
		out[i] = n.Statistic
	}
	return out
}

func numbersText(field string, list []number, lastName string, last int64) string {
	if len(list) == 0 {
		return ""
	}
	parts := make([]string, 0, len(list)+1)
	for _, n := range list {
		parts = append(parts, fmt.Sprintf("%16s: %9s", n.Name, n.text))
	}
	parts = append(parts, fmt.Sprintf("%16s: %9s", lastName, time.UnixMilli(last).UTC().Format("2006-01-02T15:04:05.999Z")))
	return fmt.Sprintf("The %s field is deprecated and will be removed in a future version of ksql. Please update your client to the latest version and use %sMap instead.\n%s", field, field, strings.Join(parts, " "))
}

// TaskMetadata is a part of a query that runs for itself, in EXPLAIN.
type TaskMetadata struct {
	ID      string        `json:"taskId"`
	Offsets []TaskOffsets `json:"topicOffsets"`
	Idling  *int64        `json:"timeCurrentIdlingStarted"`
}

// TaskOffsets tells how far a task is with a partition: End is the last record
// that it may read, Committed where it would begin again; -1 when there is none.
type TaskOffsets struct {
	Partition TopicPartition `json:"topicPartitionEntity"`
	End       int64          `json:"endOffset"`
	Committed int64          `json:"committedOffset"`
}

// TopicPartition is a partition of a topic.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// tasks are those of a query that runs, with where they are.
func (e *Engine) tasks(ctx context.Context, q *query) []TaskMetadata {
	out := []TaskMetadata{}
	run := q.runner()
	if run == nil {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// Without an answer from Kafka the tasks are there all the same.
	committed, err := e.adm.FetchOffsets(ctx, e.rt.AppID(q.id))
	if err != nil {
		e.log.Debug("a query's offsets can't be told", "query", q.id, "err", err)
	}
	topics := map[string]bool{}
	committed.Each(func(o kadmOffset) { topics[o.Topic] = true })
	ends, err := e.adm.ListCommittedOffsets(ctx, names(topics)...)
	if err != nil || len(topics) == 0 {
		ends = nil
	}
	for _, t := range run.Tasks() {
		task := TaskMetadata{ID: t.ID, Offsets: []TaskOffsets{}}
		for _, in := range t.Inputs {
			o := TaskOffsets{Partition: TopicPartition{in.Topic, in.ID}, End: -1, Committed: -1}
			if at, ok := committed.Lookup(in.Topic, in.ID); ok {
				o.Committed = at.At
			}
			if end, ok := ends.Lookup(in.Topic, in.ID); ok {
				o.End = end.Offset - 1
			}
			task.Offsets = append(task.Offsets, o)
		}
		out = append(out, task)
	}
	return out
}

// Placement tells what of a query is where, in /clusterStatus.
type Placement struct {
	ActiveStores      []string         `json:"activeStores"`
	ActivePartitions  []TopicPartition `json:"activePartitions"`
	StandByStores     []string         `json:"standByStores"`
	StandByPartitions []TopicPartition `json:"standByPartitions"`
}

// Lag is how far a store is behind its changelog.
type Lag struct {
	Current int64 `json:"currentOffsetPosition"`
	End     int64 `json:"endOffsetPosition"`
	Lag     int64 `json:"offsetLag"`
}

// StoreLags are the lags of a store, by partition.
type StoreLags struct {
	ByPartition map[string]Lag `json:"lagByPartition"`
	Size        int            `json:"size"`
}

// HostLags are the lags of a node's stores, by query and store.
type HostLags struct {
	Stores  map[string]StoreLags `json:"stateStoreLags"`
	Updated int64                `json:"updateTimeMs"`
}

// HostStatus is a node in /clusterStatus.
type HostStatus struct {
	Alive   bool                 `json:"hostAlive"`
	Updated int64                `json:"lastStatusUpdateMs"`
	Queries map[string]Placement `json:"activeStandbyPerQuery"`
	Lags    HostLags             `json:"hostStoreLags"`
}

// ClusterStatus is what GET /clusterStatus says: the one node that there is, by
// its address; ok is false unless ksql.heartbeat.enable is set. Lags are told with
// ksql.lag.reporting.enable.
func (e *Engine) ClusterStatus(ctx context.Context) (status map[string]HostStatus, ok bool) {
	if e.cfg.Properties["ksql.heartbeat.enable"] != "true" {
		return nil, false
	}
	now := time.Now().UnixMilli()
	host := HostStatus{Alive: true, Updated: now, Queries: map[string]Placement{}, Lags: HostLags{Stores: map[string]StoreLags{}}}
	changelogs := map[string]string{} // by query#store
	for _, q := range e.world.allQueries() {
		run := q.runner()
		if run == nil {
			continue
		}
		p := Placement{ActiveStores: []string{}, ActivePartitions: []TopicPartition{}, StandByStores: []string{}, StandByPartitions: []TopicPartition{}}
		seen := map[any]bool{}
		for _, t := range run.Tasks() {
			for _, in := range t.Inputs {
				if !seen[in] {
					seen[in] = true
					p.ActivePartitions = append(p.ActivePartitions, TopicPartition{in.Topic, in.ID})
				}
			}
			for _, s := range t.Stores {
				if !seen[s.Name] {
					seen[s.Name] = true
					p.ActiveStores = append(p.ActiveStores, s.Name)
					if s.Changelog != "" {
						changelogs[q.id+"#"+s.Name] = s.Changelog
					}
				}
			}
		}
		host.Queries[q.id] = p
	}
	if e.cfg.Properties["ksql.lag.reporting.enable"] == "true" {
		host.Lags = e.lags(ctx, changelogs)
	}
	return map[string]HostStatus{e.cfg.Address: host}, true
}

// lags of stores that are written by this process alone: they hold what their
// changelogs hold, once they are restored.
func (e *Engine) lags(ctx context.Context, changelogs map[string]string) HostLags {
	out := HostLags{Stores: map[string]StoreLags{}, Updated: time.Now().UnixMilli()}
	topics := map[string]bool{}
	for _, t := range changelogs {
		topics[t] = true
	}
	if len(topics) == 0 {
		return out
	}
	ends, err := e.adm.ListCommittedOffsets(ctx, names(topics)...)
	if err != nil {
		e.log.Debug("changelogs can't be measured", "err", err)
		return out
	}
	for store, topic := range changelogs {
		lags := StoreLags{ByPartition: map[string]Lag{}, Size: len(ends[topic])}
		behind := int64(0)
		id, _, _ := strings.Cut(store, "#")
		if q, ok := e.world.query(id); ok {
			if run := q.runner(); run != nil && !run.RestoreDone() {
				done, total := run.RestoreProgress()
				behind = total - done
			}
		}
		for p, end := range ends[topic] {
			lag := min(behind, end.Offset)
			lags.ByPartition[strconv.Itoa(int(p))] = Lag{end.Offset - lag, end.Offset, lag}
		}
		out.Stores[store] = lags
	}
	return out
}
