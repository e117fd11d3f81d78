package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkFlow places orders through the HTTP API and waits for each one's
// verdict, from as many clients as its name says. An iteration is an order.
func BenchmarkFlow(b *testing.B) {
	for _, clients := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := start(b, options{})
			s.stock("JUMPERS", 100_000_000)
			place := func(c, n int) time.Duration {
				id := fmt.Sprintf("%d-%d-%d", b.N, c, n)
				from := time.Now()
				a, err := call("POST", s.orders+"/v1/orders", newOrder(id, c*1_000_000+n, "JUMPERS", 1, "1.00"))
				if err != nil || a.status != http.StatusCreated {
					b.Errorf("POST: %v %d %s", err, a.status, a.body)
					return 0
				}
				a, err = call("GET", s.orders+"/v1/orders/"+id+"/validated?timeout=30000", nil)
				if err != nil || a.status != http.StatusOK || !strings.Contains(string(a.body), "VALIDATED") {
					b.Errorf("GET: %v %d %s", err, a.status, a.body)
				}
				return time.Since(from)
			}
			for n := range 50 { // warm
				place(999, n)
			}
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			var wg sync.WaitGroup
			cpu := s.cpu()
			b.ResetTimer()
			for c := range clients {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for {
						n := int(next.Add(1)) - 1
						if n >= b.N {
							return
						}
						took[n] = place(c, n)
					}
				}()
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
			b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
			b.ReportMetric(ms(s.cpu()-cpu)/float64(b.N), "cpu-ms/order")
			for _, name := range s.order {
				b.Logf("%s: %.0f MB resident", name, float64(s.rss(name))/1e6)
			}
		})
	}
}

// BenchmarkSidecarStart is the time from exec to the first good /healthcheck of a
// sidecar without statements.
func BenchmarkSidecarStart(b *testing.B) {
	s := start(b, options{only: []string{"fraud"}})
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		s.terminate("fraud-sidecar")
		b.StartTimer()
		s.run("fraud-sidecar")
		for get200(s.procs["fraud-sidecar"].url) != nil {
			time.Sleep(time.Millisecond)
		}
	}
	b.StopTimer()
	b.ReportMetric(ms(b.Elapsed())/float64(b.N), "ready-ms")
	b.ReportMetric(float64(s.rss("fraud-sidecar"))/1e6, "MB")
}

// BenchmarkRecovery is the time from kill -9 of a process to the next order's
// verdict.
func BenchmarkRecovery(b *testing.B) {
	s := start(b, options{})
	s.stock("JUMPERS", 100_000_000)
	n := 0
	for _, victim := range s.order {
		if victim == "broker" && os.Getenv("TEST_KAFKA") != "" {
			continue
		}
		b.Run(victim, func(b *testing.B) {
			for range b.N {
				s.kill(victim)
				s.run(victim)
				n++
				o := newOrder(fmt.Sprintf("r-%d", n), n, "JUMPERS", 1, "1.00")
				s.eventually(time.Minute, "the order is accepted", func() error {
					a, err := call("POST", s.orders+"/v1/orders", o)
					if err == nil && a.status >= 300 {
						err = fmt.Errorf("%d %s", a.status, a.body)
					}
					return err
				})
				require.Equal(b, "VALIDATED", s.final(o["id"].(string)).State)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s-to-next-order")
		})
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cpu is the time that all processes have used.
func (s *stack) cpu() time.Duration {
	var total time.Duration
	for _, name := range s.order {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.pid(name)), "stat"))
		if err != nil {
			s.t.Skipf("CPU time is read from /proc, which %s has not", runtime.GOOS)
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, i := range []int{11, 12} { // utime, stime in ticks of 10 ms
			ticks, err := strconv.Atoi(f[i])
			require.NoError(s.t, err)
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}

// rss is the resident memory of a process in bytes.
func (s *stack) rss(name string) int64 {
	b, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.pid(name)), "status"))
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

func (s *stack) pid(name string) int {
	p := s.procs[name]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}
