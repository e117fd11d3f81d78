package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Books are what the topics say.
type Books struct {
	orders   map[string]*entry
	answers  map[string]map[string]int // order → topic of a validator → answers
	stock    map[string]int64          // the most that a product ever had
	reserved map[string]int64          // as of now
}

// entry is an order of the topic.
type entry struct {
	Product  string   `json:"product"`
	Quantity int64    `json:"quantity"`
	State    string   `json:"state"`
	Reasons  []string `json:"reasons"`
	created  int
	finals   []string
}

var validators = []string{"fraud-validations", "inventory-validations", "details-validations"}

// ReadBooks reads the topics from beginning to end, committed records only.
func ReadBooks(ctx context.Context, broker string) (*Books, error) {
	b := &Books{orders: map[string]*entry{}, answers: map[string]map[string]int{}, stock: map[string]int64{}, reserved: map[string]int64{}}
	err := scan(ctx, broker, append([]string{"orders", "warehouse-inventory", "reserved-stock"}, validators...), b.record)
	return b, err
}

func (b *Books) record(r *kgo.Record) error {
	if r.Value == nil {
		if r.Topic == "reserved-stock" {
			delete(b.reserved, string(r.Key))
		}
		return nil
	}
	key := string(r.Key)
	switch r.Topic {
	case "orders":
		var e entry
		if err := json.Unmarshal(r.Value, &e); err != nil {
			return err
		}
		old := b.orders[key]
		if old == nil {
			old = &entry{}
			b.orders[key] = old
		}
		e.created, e.finals = old.created, old.finals
		switch e.State {
		case "CREATED":
			e.created++
		case validated, failed:
			e.finals = append(e.finals, e.State)
		}
		*old = e
	case "warehouse-inventory", "reserved-stock":
		var v struct {
			Stock    int64 `json:"stock"`
			Reserved int64 `json:"reserved"`
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return err
		}
		if r.Topic == "reserved-stock" {
			b.reserved[key] = v.Reserved
		} else {
			b.stock[key] = max(b.stock[key], v.Stock)
		}
	default:
		if b.answers[key] == nil {
			b.answers[key] = map[string]int{}
		}
		b.answers[key][r.Topic]++
	}
	return nil
}

// Open counts the orders without a final state.
func (b *Books) Open() int {
	n := 0
	for _, e := range b.orders {
		if len(e.finals) == 0 {
			n++
		}
	}
	return n
}

// Faults are all the ways in which the books don't add up, a sentence each.
func (b *Books) Faults() []string {
	var out []string
	fault := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	held := map[string]int64{}
	for _, id := range slices.Sorted(maps.Keys(b.orders)) {
		e := b.orders[id]
		if e.created > 1 {
			fault("order %s was created %d times", id, e.created)
		}
		if len(e.finals) != 1 {
			fault("order %s has %d final states %v instead of one", id, len(e.finals), e.finals)
		}
		if e.State == validated {
			held[e.Product] += e.Quantity // shipped ones hold nothing any more
		}
		if e.State == validated || e.State == shipped {
			for _, topic := range validators {
				if n := b.answers[id][topic]; n != 1 {
					fault("order %s is VALIDATED with %d answers on %s instead of one", id, n, topic)
				}
			}
		}
		for topic, n := range b.answers[id] {
			if n > 1 && e.State != validated && e.State != shipped {
				fault("order %s has %d answers on %s", id, n, topic)
			}
		}
	}
	products := maps.Clone(held)
	maps.Copy(products, b.reserved)
	for _, product := range slices.Sorted(maps.Keys(products)) {
		reserved := b.reserved[product]
		if reserved < 0 || reserved > b.stock[product] {
			fault("%d %s are reserved, of %d in stock", reserved, product, b.stock[product])
		}
		if reserved != held[product] {
			fault("%d %s are reserved, but VALIDATED orders hold %d", reserved, product, held[product])
		}
	}
	return out
}

// Settle reads the books until they add up and every order is final, or the time
// is over. It gives the last books.
func Settle(ctx context.Context, broker string, limit time.Duration, progress func(*Books)) (*Books, error) {
	deadline := time.Now().Add(limit)
	for {
		b, err := ReadBooks(ctx, broker)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(b)
		}
		if b.Open() == 0 && len(b.Faults()) == 0 || time.Now().After(deadline) {
			return b, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// scan hands every record of topics, up to the ends they have now, to take.
func scan(ctx context.Context, broker string, topics []string, take func(*kgo.Record) error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topics...), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return fmt.Errorf("offsets: %w", err)
	}
	ends, err := adm.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return fmt.Errorf("offsets: %w", err)
	}
	type partition struct {
		topic string
		n     int32
	}
	left := map[partition]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if start, _ := starts.Lookup(o.Topic, o.Partition); o.Err == nil && o.Offset > start.Offset {
			left[partition{o.Topic, o.Partition}] = o.Offset
		}
	})
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading the topics: %w", err)
		}
		var bad error
		fetches.EachRecord(func(r *kgo.Record) {
			p := partition{r.Topic, r.Partition}
			end, open := left[p]
			if !open {
				return // written since
			}
			if !r.Attrs.IsControl() {
				if err := take(r); err != nil && bad == nil {
					bad = fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
				}
			}
			if r.Offset+1 >= end {
				delete(left, p)
			}
		})
		if bad != nil {
			return bad
		}
	}
	return nil
}
