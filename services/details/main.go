// Command details is the order-details validator: it checks the fields of each
// new order, and says all that is wrong with them.
//
//	[orders: CREATED] ──► details.Process (check.go) ──► [details-validations]  one answer an order
//
// main.go only wires.
package main

import "github.com/sidestream/sidestream/services/internal/worker"

func main() {
	worker.Main("details", service())
}
