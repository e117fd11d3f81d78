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

import "github.com/sidestream/sidestream/services/internal/worker"

func main() {
	worker.Main("inventory", service())
}
