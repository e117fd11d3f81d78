// Command shipping is the Go half of shipping: it sends what fulfilment releases,
// once each, and says so. The orders service makes the order SHIPPED of it, and
// inventory lets the stock go.
//
//	[orders-to-ship] ──► shipping.Process, Tick (ship.go) ──► [shipments]  one an order
//
// main.go only wires.
package main

import (
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/worker"
)

func main() {
	worker.MainWith("shipping", func(s *config.Source) worker.Service {
		return service(shipping{packing: s.Duration("PACKING_TIME", 2*time.Second, 0)})
	})
}
