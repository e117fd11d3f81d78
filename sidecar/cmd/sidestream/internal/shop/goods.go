package shop

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// product is something the shop sells.
type product struct {
	name  string
	cents int
	stock int
}

// The products. A few pieces are left of one, and another is sold out.
var products = []product{
	{"JUMPERS", 2499, 100_000}, {"UNDERPANTS", 500, 100_000}, {"STOCKINGS", 799, 100_000},
	{"SCARVES", 1450, 100_000}, {"BOOTS", 11900, 100_000}, {"RAINCOATS", 8900, 100_000},
	{"MITTENS", 1190, 100_000}, {"SLIPPERS", 1795, 100_000},
	lastPieces, soldOut,
}

var (
	lastPieces = product{"UMBRELLAS", 1990, 5}
	soldOut    = product{"TOP-HATS", 15900, 0}
)

// ordinary are those that are always there.
var ordinary = products[:len(products)-2]

var (
	firstNames = []string{"Ada", "Bruno", "Clara", "Dinesh", "Elif", "Farid", "Greta", "Hana", "Ivo", "Juno", "Kofi", "Lena", "Mira", "Nils", "Olga", "Pablo", "Rosa", "Sven", "Tala", "Uwe"}
	lastNames  = []string{"Arslan", "Berg", "Costa", "Dubois", "Eze", "Fischer", "Garcia", "Hansen", "Ito", "Jansen", "Kaya", "Lopez", "Moreau", "Novak", "Okafor", "Petrov", "Rossi", "Silva", "Tanaka", "Weber"}
	levels     = []string{"platinum", "gold", "silver", "bronze"}
)

// customer is one line for feed.Customers.
func customer(id int, rng *rand.Rand) string {
	first, last := firstNames[rng.IntN(len(firstNames))], lastNames[rng.IntN(len(lastNames))]
	mail := strings.ToLower(fmt.Sprintf("%s.%s.%d@example.com", first, last, id))
	return fmt.Sprintf(`{"id":%d,"firstName":%q,"lastName":%q,"email":%q,"address":%q,"level":%q}`,
		id, first, last, mail, fmt.Sprintf("%d Market Street", 1+rng.IntN(200)), levels[rng.IntN(len(levels))])
}

// kind is a kind of order: what is to become of it, and why.
type kind struct {
	name string
	// share of all orders, in percent; the first kind takes the rest.
	share int
	// state it must end in; "" where that depends on the order of things.
	state string
	// reason is in its reasons when it FAILED.
	reason string
}

const (
	validated = "VALIDATED"
	failed    = "FAILED"
	shipped   = "SHIPPED"
)

var kinds = []kind{
	{name: "ordinary", state: validated},
	{name: "over the fraud limit", share: 9, state: failed, reason: "FRAUD_CHECK"},
	{name: "sold out", share: 7, state: failed, reason: "INVENTORY_CHECK"},
	{name: "last pieces", share: 4, reason: "INVENTORY_CHECK"},
	{name: "unknown product", share: 6, state: failed, reason: "INVENTORY_CHECK"},
	{name: "negative quantity", share: 6, state: failed, reason: "quantity is"},
}

// order is an order to place.
type order struct {
	ID       string
	Kind     int // in kinds
	Customer int
	Product  string
	Quantity int
	Cents    int // a piece
}

func (o order) json() []byte {
	return fmt.Appendf(nil, `{"id":%q,"customerId":%d,"product":%q,"quantity":%d,"price":%d.%02d}`,
		o.ID, o.Customer, o.Product, o.Quantity, o.Cents/100, o.Cents%100)
}

// firstCustomer is the id of the first customer.
const firstCustomer = 1000

// orders makes n orders. The same seed makes the same ones, with the same ids, so
// that placing them again changes nothing. Every order has a customer of its
// own, so that the hour's total of one doesn't fail another.
func orders(seed uint64, n int) []order {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []order
	for k := range kinds {
		count := n * kinds[k].share / 100
		if k == 0 {
			count = n
			for _, other := range kinds[1:] {
				count -= n * other.share / 100
			}
		}
		for range count {
			p := ordinary[rng.IntN(len(ordinary))]
			o := order{Kind: k, Product: p.name, Quantity: 1 + rng.IntN(4), Cents: p.cents}
			switch kinds[k].name {
			case "over the fraud limit":
				o.Quantity = 200_000/p.cents + 1 + rng.IntN(5)
			case "sold out":
				o.Product, o.Cents = soldOut.name, soldOut.cents
			case "last pieces":
				o.Product, o.Cents, o.Quantity = lastPieces.name, lastPieces.cents, 1
			case "unknown product":
				o.Product = fmt.Sprintf("UNICORN-%d", rng.IntN(5))
			case "negative quantity":
				o.Quantity = -o.Quantity
			}
			out = append(out, o)
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	for i := range out {
		out[i].ID = fmt.Sprintf("demo-%d-%04d", seed, i)
		out[i].Customer = firstCustomer + i
	}
	return out
}
