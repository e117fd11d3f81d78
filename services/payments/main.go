// Command payments is the Go half of the payments service: it charges what
// orders cost, once each, at a payment provider.
//
//	[payment-requests] ──► payments.Process (charge.go) ──┬─► [payments]          charged
//	            ▲                    │                    └─► [payment-failures]  declined, or given up
//	      its SQL: VALIDATED         └─► provider (provider.go)
//
// main.go only wires.
package main

import (
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/worker"
)

func main() {
	worker.MainWith("payments", func(s *config.Source) worker.Service {
		return service(payments{
			provider: simulated{
				declines: s.Whole("PROVIDER_DECLINES", 2, 0, 100),
				outages:  s.Whole("PROVIDER_OUTAGES", 10, 0, 100),
			},
			patience: s.Duration("RETRY_AFTER", 200*time.Millisecond, time.Millisecond),
			tries:    s.Whole("PROVIDER_TRIES", 20, 1, 1000),
		})
	})
}
