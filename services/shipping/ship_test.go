package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/transact"
)

func dry(t *testing.T, packing time.Duration) *transact.Dry {
	d, err := transact.NewDry(shipping{packing: packing})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func release(t *testing.T, d *transact.Dry, id, value string) []transact.Record {
	out, err := d.Process(transact.Record{Topic: toShipTopic, Key: []byte(id), Value: []byte(value)})
	require.NoError(t, err)
	return out
}

func TestAnOrderIsSentOnce(t *testing.T) {
	d := dry(t, 0)
	sent := release(t, d, "1", `{"CUSTOMERID":15,"PRODUCT":"SOCKS","QUANTITY":3,"PAYMENTID":"p1"}`)
	require.Len(t, sent, 1)
	require.Equal(t, shipmentsTopic, sent[0].Topic)
	require.Equal(t, "1", string(sent[0].Key))
	var got struct {
		OrderID, Product, TrackingID string
		Quantity, ShippedAt          int64
	}
	require.NoError(t, json.Unmarshal(sent[0].Value, &got))
	require.Equal(t, "1", got.OrderID)
	require.Equal(t, "SOCKS", got.Product)
	require.EqualValues(t, 3, got.Quantity)
	require.Equal(t, trackingID("1"), got.TrackingID)
	require.NotEqual(t, trackingID("2"), got.TrackingID)
	require.NotZero(t, got.ShippedAt)

	require.Empty(t, release(t, d, "1", `{"CUSTOMERID":15,"PRODUCT":"SOCKS","QUANTITY":3,"PAYMENTID":"p2"}`), "paid twice")
}

func TestPackingTakesItsTime(t *testing.T) {
	d := dry(t, time.Minute)
	require.Empty(t, release(t, d, "1", `{"product":"SOCKS","quantity":3}`))
	require.Empty(t, release(t, d, "1", `{"product":"SOCKS","quantity":3}`))
	tick := func(after time.Duration) []transact.Record {
		out, err := d.Tick(0, time.Now().Add(after))
		require.NoError(t, err)
		return out
	}
	require.Empty(t, tick(30*time.Second))
	require.Len(t, tick(61*time.Second), 1)
	require.Empty(t, tick(time.Hour))
	require.Empty(t, release(t, d, "1", `{"product":"SOCKS","quantity":3}`))
	require.Empty(t, tick(2*time.Hour))
}

func TestWhatCannotBeSent(t *testing.T) {
	d := dry(t, 0)
	for n, value := range []string{`no`, `{}`, `{"product":"SOCKS"}`, `{"product":"SOCKS","quantity":0}`, `{"product":1,"quantity":1}`} {
		require.Empty(t, release(t, d, fmt.Sprint(n), value))
		require.Len(t, d.Bad, n+1, value)
	}
	_, err := d.Process(transact.Record{Topic: toShipTopic, Value: []byte(`{}`)})
	require.NoError(t, err)
	require.ErrorContains(t, d.Bad[len(d.Bad)-1], "the key, the order's id, is null")
}
