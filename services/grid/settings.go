package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
)

// rowsTopic is what the grid shows.
const rowsTopic = "order-rows"

// storyTopics are those whose records are told as an order's story, in the order
// in which an order usually meets them.
const storyTopics = "orders,fraud-validations,inventory-validations,details-validations,order-verdicts," +
	"payments,payment-failures,orders-to-ship,shipments,invoices,emails-sent"

// settings are environment variables; README.md has them in a table.
type settings struct {
	config.Common
	orders    *url.URL
	story     []string
	heartbeat time.Duration
	streams   int
}

func readSettings() (settings, error) {
	c := config.New()
	s := settings{
		Common:    c.Common(),
		heartbeat: c.Duration("SSE_HEARTBEAT", 15*time.Second, time.Second),
		streams:   c.Whole("MAX_STREAMS", 2000, 1, 100_000),
	}
	for topic := range strings.SplitSeq(c.Text("STORY_TOPICS", storyTopics), ",") {
		if topic = strings.TrimSpace(topic); topic != "" {
			s.story = append(s.story, topic)
		}
	}
	if err := c.Err(); err != nil {
		return s, err
	}
	text := c.Text("ORDERS_URL", "http://127.0.0.1:8080")
	var err error
	if s.orders, err = url.Parse(text); err != nil || s.orders.Host == "" || !strings.HasPrefix(s.orders.Scheme, "http") {
		return s, fmt.Errorf("settings: ORDERS_URL is %q: give the address of the orders API, as http://127.0.0.1:8080", text)
	}
	return s, nil
}
