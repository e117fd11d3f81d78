package runtime

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// metaVariant is how the queries are run: all that must not change the results.
type metaVariant struct {
	partitions  int32
	chunk       int   // records that are written at once
	fetch       int32 // bytes that the broker gives of a partition at once; 0 for what is asked for
	commit      time.Duration
	offsets     time.Duration
	purge       time.Duration
	atLeastOnce bool // then there are no kills: records would come twice
	memory      bool
	packed      bool
	restarts    int // of 100 chunks, how many have a restart before them
	kill, lose  bool
}

func (v metaVariant) String() string {
	return fmt.Sprintf("%d partitions, chunks of %d, fetches of %d bytes, commits after %v, offsets after %v, purge after %v, at least once: %v, in memory: %v, packed: %v, %d%% restarts, with kills: %v, with lost state: %v",
		v.partitions, v.chunk, v.fetch, v.commit, v.offsets, v.purge, v.atLeastOnce, v.memory, v.packed, v.restarts, v.kill, v.lose)
}

func metaVary(seed uint64) metaVariant {
	rnd := rand.New(rand.NewPCG(seed, 2))
	ms := func(choices ...int) time.Duration {
		return time.Duration(choices[rnd.IntN(len(choices))]) * time.Millisecond
	}
	v := metaVariant{
		partitions: []int32{4, 2, 1}[seed%3],
		chunk:      []int{1, 3, 17, 1000}[rnd.IntN(4)],
		fetch:      []int32{0, 0, 1, 2000}[rnd.IntN(4)],
		commit:     ms(1, 20, 100, 3000),
		offsets:    ms(1, 30, 300),
		purge:      ms(1, 100, 30_000),
		memory:     rnd.IntN(3) == 0,
		packed:     rnd.IntN(3) == 0,
		restarts:   []int{0, 10, 30, 30}[rnd.IntN(4)],
		kill:       rnd.IntN(2) == 0,
		lose:       rnd.IntN(2) == 0,
	}
	if v.restarts > 0 && v.chunk > 17 { // there are to be moments for them
		v.chunk = 17
	}
	if v.chunk < 10 { // about as many as with large chunks
		v.restarts = (v.restarts + 3) / 4
	}
	if !v.kill || v.restarts == 0 {
		v.atLeastOnce = rnd.IntN(2) == 0
	}
	return v
}

// metaTrial is one run. The same trial has the same records and restarts.
type metaTrial struct {
	seed    uint64
	queries []string
	orders  int          // about how many, a phase
	left    map[int]bool // records that are left out
	metaVariant
	patience time.Duration
}

func (m metaTrial) steps() []metaStep { return metaWithout(metaSteps(m.seed, m.orders), m.left) }

// However the queries are run, by how many partitions, in which portions, with
// which restarts, they give the results of one that takes record after record.
//
// METAMORPHIC_SEEDS=n runs as many seeds, from one by chance on;
// METAMORPHIC_SEED=s the one that a failure named.
func TestHowItIsRunChangesNothing(t *testing.T) {
	seeds := []uint64{12, 37, 35} // 4, 2 and 1 partitions; kills with state kept and lost; at least once
	if s := os.Getenv("METAMORPHIC_SEED"); s != "" {
		one, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seeds = []uint64{one}
	} else if s := os.Getenv("METAMORPHIC_SEEDS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		first := rand.Uint64N(1 << 40)
		seeds = nil
		for i := range n {
			seeds = append(seeds, first+uint64(i))
		}
	}
	var all []string
	for _, q := range metaQueries {
		all = append(all, q.name)
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			m := metaTrial{seed: seed, queries: all, orders: 40, metaVariant: metaVary(seed), patience: 40 * time.Second}
			t.Logf("METAMORPHIC_SEED=%d: %s", seed, m.metaVariant)
			difference := m.run(t)
			if difference == "" {
				return
			}
			t.Errorf("METAMORPHIC_SEED=%d, %s: %s", seed, m.metaVariant, difference)
			metaShrink(t, m)
		})
	}
}

// metaShrink looks for the smallest trial that fails, and tells of it. Half of a
// failure is often timing, so each try is made twice.
func metaShrink(t *testing.T, m metaTrial) {
	m.patience = 5 * time.Second
	until := time.Now().Add(2 * time.Minute)
	what := ""
	try := func(n metaTrial) bool {
		for range 2 {
			if time.Now().After(until) {
				return false
			}
			if d := n.run(t); d != "" {
				m, what = n, d
				return true
			}
		}
		return false
	}
	for _, q := range m.queries {
		n := m
		if n.queries = []string{q}; try(n) {
			break
		}
	}
	for _, simpler := range []func(*metaVariant){
		func(v *metaVariant) { v.restarts = 0 },
		func(v *metaVariant) { v.kill = false },
		func(v *metaVariant) { v.lose = false },
		func(v *metaVariant) { v.memory = false },
		func(v *metaVariant) { v.packed = false },
		func(v *metaVariant) { v.atLeastOnce = false },
		func(v *metaVariant) { v.fetch = 0 },
		func(v *metaVariant) { v.purge = time.Minute },
		func(v *metaVariant) { v.partitions = 1 },
	} {
		n := m
		if simpler(&n.metaVariant); n.metaVariant != m.metaVariant {
			try(n)
		}
	}
	total := metaCount(metaSteps(m.seed, m.orders))
	for size := (total + 1) / 2; size > 0 && time.Now().Before(until); size /= 2 {
		for from := 0; from < total; from += size {
			n := m
			n.left = map[int]bool{}
			for i := range total {
				if m.left[i] || i >= from && i < from+size {
					n.left[i] = true
				}
			}
			if len(n.left) > len(m.left) {
				try(n)
			}
		}
	}
	if what == "" {
		t.Log("it did not happen again in smaller trials")
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "smallest trial: queries %v, %s\n", m.queries, m.metaVariant)
	for _, q := range m.queries {
		fmt.Fprintf(&b, "  %s\n", strings.Join(metaFind(q).sql, "\n  "))
	}
	for _, s := range m.steps() {
		fmt.Fprintf(&b, "%s:\n", s.name)
		for _, r := range s.records {
			if r.extra {
				fmt.Fprintf(&b, "  %s %s\n", r.topic, r.rec)
			}
		}
	}
	t.Logf("%s%s", b.String(), what)
}

// compression of a variant.
func (v metaVariant) compression() kgo.CompressionCodec {
	if v.packed {
		return kgo.Lz4Compression()
	}
	return kgo.CompressionCodec{}
}

// Trials are as their seeds say.
func TestTrialsAreRepeatable(t *testing.T) {
	require.Equal(t, metaSteps(7, 20), metaSteps(7, 20))
	require.NotEqual(t, metaSteps(7, 20), metaSteps(8, 20))
	steps := metaSteps(7, 20)
	left := map[int]bool{0: true, metaCount(steps) - 1: true}
	require.Equal(t, metaCount(steps)-2, metaCount(metaWithout(steps, left)))
	require.True(t, slices.ContainsFunc(steps[5].records, func(r metaRecord) bool { return r.time < 1_000_000+metaGap }), "some are late")
}
