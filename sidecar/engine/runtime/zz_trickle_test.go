package runtime

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func BenchmarkTrickle(b *testing.B) {
	k := newBroker(b)
	k.topics(4, "orders", "big", "counts")
	run := func(name string, qs int) {
		b.Run(name, func(b *testing.B) {
			r := k.runtime(b.TempDir())
			var list []*Query
			if qs > 0 {
				q, err := r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), Options{})
				require.NoError(b, err)
				list = append(list, q)
			}
			if qs > 1 {
				q, err := r.Start(context.Background(), countPlan("CTAS_C_2", "orders", "counts"), Options{})
				require.NoError(b, err)
				list = append(list, q)
			}
			for _, q := range list {
				waitFor(b, func() bool { s, _ := q.State(); return s == Running })
			}
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			b.ResetTimer()
			c := cpu()
			for i := range b.N {
				<-tick.C
				k.write("orders", 4, rec{fmt.Sprintf("k%d", i), `{"customer":"c1","amount":99}`, int64(i), 0})
			}
			b.StopTimer()
			b.ReportMetric(float64((cpu()-c).Microseconds())/float64(b.N), "cpu-µs/rec")
			n := int64(0)
			for _, q := range list {
				n += q.Commits.Load()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "commits/s")
			for _, q := range list {
				r.Stop(context.Background(), q.ID(), true)
			}
			r.Close()
		})
	}
	run("none", 0)
	run("filter", 1)
	run("both", 2)
}
