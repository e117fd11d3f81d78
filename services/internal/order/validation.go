package order

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Names of the checks that come with the kit. Which checks an order needs is a
// setting, not this list.
const (
	FraudCheck     = "FRAUD_CHECK"
	InventoryCheck = "INVENTORY_CHECK"
	DetailsCheck   = "ORDER_DETAILS_CHECK"
)

// Results of a check.
const (
	Pass  = "PASS"
	Fail  = "FAIL"
	Error = "ERROR"
)

// Validation is one validator's answer for one order. The record's key is the
// order's id; SQL leaves it out of the value.
type Validation struct {
	OrderID   string
	CheckType string
	Result    string
	Reason    string
}

// Encode returns the validation's JSON.
func (v *Validation) Encode() []byte {
	b := make([]byte, 0, 128)
	b = quote(append(b, `{"orderId":`...), v.OrderID)
	b = quote(append(b, `,"checkType":`...), v.CheckType)
	b = quote(append(b, `,"validationResult":`...), v.Result)
	b = quote(append(b, `,"reason":`...), v.Reason)
	return append(b, '}')
}

// DecodeValidation reads a validation, whichever case its names are in.
func DecodeValidation(b []byte) (Validation, error) {
	var v Validation
	err := Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) error {
		var err error
		switch strings.ToLower(name) {
		case "orderid":
			v.OrderID, err = Text(kind, raw)
		case "checktype":
			v.CheckType, err = Text(kind, raw)
		case "validationresult":
			v.Result, err = Text(kind, raw)
		case "reason":
			v.Reason, err = Text(kind, raw)
		}
		return err
	})
	return v, err
}
