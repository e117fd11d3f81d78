package runtime

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
)

// metaRecord is a record of an input.
type metaRecord struct {
	topic string // without the prefix
	rec
	extra bool // shrinking may leave it out
}

// metaStep are records that are written together. Before the next step all of
// them have been processed.
type metaStep struct {
	name    string
	records []metaRecord
	// stormy: the runtime is stopped and started while they are written.
	stormy bool
}

const (
	metaPhases = 3
	metaGap    = 100_000 // ms between phases: more than any window and its grace
	metaSpan   = 10_000  // ms that a phase lasts: less than the grace
)

// metaTicks are keys of which each of 4 partitions has one (so each of 1 and 2 has).
func metaTicks(prefix string) []string {
	out := make([]string, 4)
	for i, found := 0, 0; found < 4; i++ {
		key := fmt.Sprintf("%s%d", prefix, i)
		if p := exec.Partition([]byte(key), 4); out[p] == "" {
			out[p], found = key, found+1
		}
	}
	return out
}

// metaSteps are the records of a seed, n orders a phase. A phase is three steps:
//
//	tables, which are read before the streams that join them: which of the two
//	comes first would else be chance.
//	ticks: records at the phase's beginning for each pair of partitions that a
//	record can come by (its own and that of its customer), so that every task's
//	stream time is there, and what is of the phase before is too late everywhere.
//	data: within the grace of each other, so that nothing of a phase is too late
//	anywhere, in whatever order tasks see it; and a few records of the phase before.
func metaSteps(seed uint64, n int) []metaStep {
	rnd := rand.New(rand.NewPCG(seed, 1))
	g := &metaMaker{rnd: rnd}
	var out []metaStep
	for phase := range metaPhases {
		base := int64(1_000_000 + phase*metaGap)
		out = append(out,
			metaStep{name: fmt.Sprintf("tables of phase %d", phase), records: g.tables(base-1000, n)},
			metaStep{name: fmt.Sprintf("ticks of phase %d", phase), records: g.ticks(base)},
			metaStep{name: fmt.Sprintf("data of phase %d", phase), records: g.data(base, phase, n), stormy: true})
	}
	return append(out, metaStep{name: "last ticks", records: g.ticks(1_000_000 + metaPhases*metaGap)})
}

type metaMaker struct {
	rnd *rand.Rand
	id  int
}

func (g *metaMaker) next() int { g.id++; return g.id }

func (g *metaMaker) ticks(ms int64) (out []metaRecord) {
	for _, region := range metaTicks("tick") {
		for _, customer := range metaTicks(region + "-") {
			out = append(out,
				metaRecord{topic: "orders", rec: rec{key: region, value: fmt.Sprintf(`{"id":%d,"customer":%q,"product":%q,"amount":7,"price":0.01}`, g.next(), customer, customer), time: ms}},
				metaRecord{topic: "payments", rec: rec{key: region, value: fmt.Sprintf(`{"id":%d,"customer":%q,"paid":7}`, g.next(), customer), time: ms}})
		}
	}
	return out
}

func (g *metaMaker) tables(ms int64, n int) (out []metaRecord) {
	add := func(topic, key, value string) {
		if g.rnd.IntN(6) == 0 {
			value = "null"
		}
		out = append(out, metaRecord{topic: topic, rec: rec{key: key, value: value, time: ms + int64(g.rnd.IntN(500))}, extra: true})
	}
	for range 2 + n/3 {
		customer := fmt.Sprintf("c%d", g.rnd.IntN(12))
		switch g.rnd.IntN(5) {
		case 0:
			add("limits", customer, fmt.Sprintf(`{"most":%d}`, g.rnd.IntN(50)))
		case 1:
			add("levels", fmt.Sprintf("l%d", g.rnd.IntN(4)), fmt.Sprintf(`{"discount":%d}`, g.rnd.IntN(50)))
		case 2:
			add("regions", fmt.Sprintf("r%d", g.rnd.IntN(6)), fmt.Sprintf(`{"boss":"b%d"}`, g.rnd.IntN(50)))
		default:
			add("customers", customer, fmt.Sprintf(`{"level":"l%d","credit":%d}`, g.rnd.IntN(4), g.rnd.IntN(60)))
		}
	}
	return out
}

func (g *metaMaker) data(base int64, phase, n int) (out []metaRecord) {
	for i := range 2 * n {
		c := g.rnd.IntN(12)
		r := metaRecord{rec: rec{key: fmt.Sprintf("r%d", c%6)}, extra: true}
		customer := fmt.Sprintf(`"c%d"`, c)
		switch {
		case c == 0 && g.rnd.IntN(2) == 0:
			customer = "null"
		case g.rnd.IntN(25) == 0: // a customer of no region: the key is null
			r.key, customer = "null", `"cn"`
		}
		r.time = base + int64(i)*(metaSpan-1000)/int64(2*n) + int64(g.rnd.IntN(1000))
		if phase > 0 && g.rnd.IntN(15) == 0 { // too late, for what has windows
			r.time -= metaGap
		}
		amount := g.rnd.IntN(20) // 0 fails in 100 / amount
		switch g.rnd.IntN(5) {
		case 0, 1, 2:
			product := fmt.Sprint(g.rnd.IntN(5))
			if g.rnd.IntN(2) == 0 {
				product = "p" + product // no number: CAST makes null of it
			}
			r.topic = "orders"
			r.value = fmt.Sprintf(`{"id":%d,"customer":%s,"product":%q,"amount":%d,"price":%d.%02d}`, g.next(), customer, product, amount, g.rnd.IntN(90), g.rnd.IntN(100))
			switch g.rnd.IntN(40) {
			case 0:
				r.value = `{"id":`
			case 1:
				r.value = "null"
			}
		case 3:
			r.topic = "payments"
			r.value = fmt.Sprintf(`{"id":%d,"customer":%s,"paid":%d}`, g.next(), customer, amount)
		default:
			r.topic = "returns" // of its own regions: nothing orders two streams into one
			r.key = fmt.Sprintf("back%d", c%6)
			r.value = fmt.Sprintf(`{"id":%d,"customer":%s,"amount":%d}`, g.next(), customer, amount)
		}
		out = append(out, r)
	}
	return out
}

// metaWithout leaves extra records out, by their number among all of them.
func metaWithout(steps []metaStep, left map[int]bool) []metaStep {
	n := 0
	out := slices.Clone(steps)
	for i := range out {
		var kept []metaRecord
		for _, r := range out[i].records {
			if r.extra {
				if n++; left[n-1] {
					continue
				}
			}
			kept = append(kept, r)
		}
		out[i].records = kept
	}
	return out
}

func metaCount(steps []metaStep) (n int) {
	for _, s := range steps {
		for _, r := range s.records {
			if r.extra {
				n++
			}
		}
	}
	return n
}
