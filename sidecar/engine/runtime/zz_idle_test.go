package runtime

import (
	"context"
	"fmt"
	"os"
	"strings"
	gort "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func rss() string {
	b, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(l, "VmRSS") {
			return l
		}
	}
	return ""
}

func TestIdle(t *testing.T) {
	k := newBroker(t)
	k.topics(4, "orders")
	var m gort.MemStats
	gort.GC()
	gort.ReadMemStats(&m)
	fmt.Println("before", m.HeapAlloc>>10, m.HeapSys>>10, m.Sys>>10, gort.NumGoroutine(), rss())
	r := k.runtime(t.TempDir())
	start := time.Now()
	for i := range 20 {
		k.topics(4, fmt.Sprintf("o%d", i))
		p := filterPlan(fmt.Sprintf("CSAS_%d", i), "orders", fmt.Sprintf("o%d", i))
		if i%2 == 0 {
			p = countPlan(fmt.Sprintf("CSAS_%d", i), "orders", fmt.Sprintf("o%d", i))
		}
		_, err := r.Start(context.Background(), p, settings())
		require.NoError(t, err)
	}
	for _, q := range r.Queries() {
		waitFor(t, func() bool { s, _ := q.State(); return s == Running })
	}
	fmt.Println("ready in", time.Since(start))
	time.Sleep(time.Second)
	gort.GC()
	gort.ReadMemStats(&m)
	fmt.Println("idle", m.HeapAlloc>>10, m.HeapSys>>10, m.StackSys>>10, m.Sys>>10, gort.NumGoroutine(), rss())
	c := cpu()
	time.Sleep(10 * time.Second)
	fmt.Println("cpu in 10 s:", cpu()-c)
	for range 20 {
		k.write("orders", 4, orders(0, 1000)...)
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second)
	gort.ReadMemStats(&m)
	fmt.Println("worked", m.HeapAlloc>>10, m.HeapSys>>10, m.Sys>>10, gort.NumGoroutine(), rss())
	require.NoError(t, r.Close())
	start = time.Now()
	r = k.runtime(t.TempDir())
	for i := range 20 {
		p := filterPlan(fmt.Sprintf("CSAS_%d", i), "orders", fmt.Sprintf("o%d", i))
		if i%2 == 0 {
			p = countPlan(fmt.Sprintf("CSAS_%d", i), "orders", fmt.Sprintf("o%d", i))
		}
		_, err := r.Start(context.Background(), p, settings())
		require.NoError(t, err)
	}
	for _, q := range r.Queries() {
		waitFor(t, func() bool { s, _ := q.State(); return s == Running })
	}
	fmt.Println("again ready in", time.Since(start))
	start = time.Now()
	require.NoError(t, r.Close())
	fmt.Println("closed in", time.Since(start))
}
