// Package shop is the demo's shop: customers, products, stock, orders of every
// kind, and the books that must add up afterwards.
//
// In: a seed, the orders API, Kafka. Out: a report of how each kind of order
// ended and why, and every way in which the books don't add up. The books are
// read from the topics alone.
//
// Next: sidestream dev --demo calls Run.
package shop
