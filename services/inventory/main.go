// Command inventory is the Go half of the inventory service: it holds back
// stock for the orders that there is enough for.
//
//	[orders-by-product] ──┐                     ┌─► [inventory-validations]  one answer an order
//	                      ├─► inventory.Process ├─► [reserved-stock]         by product
//	[warehouse-inventory] ┘    (reserve.go,     └─► [reserved-stock-by-order]
//	                            stock.go)
//
// main.go only wires.
package main

import (
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/worker"
)

func main() {
	worker.MainWith("inventory", func(s *config.Source) worker.Service {
		// Longer than fulfilment waits for a payment, so that nothing is sent whose
		// stock was given to another.
		return service(inventory{keep: s.Duration("RESERVATION_EXPIRY", 10*24*time.Hour, time.Second)})
	})
}
