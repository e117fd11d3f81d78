// Command details is the order-details validator: it checks the fields of each
// new order, and says all that is wrong with them.
//
//	[orders: CREATED] ──► details.Process (check.go) ──► [details-validations]  one answer an order
//	                               ▲
//	[product-prices] ──────────────┘ (price.go)
//
// main.go only wires.
package main

import (
	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/worker"
)

func main() {
	worker.MainWith("details", func(s *config.Source) worker.Service {
		return service(details{
			prices:    lookup.New(pricesTopic),
			tolerance: s.Whole("PRICE_TOLERANCE", 20, 0, 100),
		})
	})
}
