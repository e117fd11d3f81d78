package client

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// assign copies one value of a row to the variable behind dest.
func assign(dest, v any) error {
	switch d := dest.(type) {
	case *any:
		*d = v
		return nil
	case *string:
		return text(d, v)
	case *[]string:
		return texts(d, v)
	case *bool:
		b, ok := v.(bool)
		if !ok && v != nil {
			return mismatch(dest, v)
		}
		*d = b
		return nil
	case *json.Number:
		n, ok := v.(json.Number)
		if !ok && v != nil {
			return mismatch(dest, v)
		}
		*d = n
		return nil
	case *float64:
		n, err := number(dest, v)
		if err != nil || n == "" {
			*d = 0
			return err
		}
		*d, err = strconv.ParseFloat(n, 64)
		return err
	case *int:
		n, err := integer(dest, v, strconv.IntSize)
		*d = int(n)
		return err
	case *int32:
		n, err := integer(dest, v, 32)
		*d = int32(n)
		return err
	case *int64:
		n, err := integer(dest, v, 64)
		*d = n
		return err
	case *time.Time:
		return moment(d, v)
	default:
		return assignOther(dest, v)
	}
}

// moment reads a TIMESTAMP or a DATE, which have no zone and mean UTC.
func moment(d *time.Time, v any) error {
	if v == nil {
		*d = time.Time{}
		return nil
	}
	s, ok := v.(string)
	if !ok {
		return mismatch(d, v)
	}
	layout := "2006-01-02T15:04:05.999"
	if len(s) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	var err error
	*d, err = time.ParseInLocation(layout, s, time.UTC)
	return err
}

// assignOther takes pointers, for what may be NULL, and leaves what is nested to
// encoding/json.
func assignOther(dest, v any) error {
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("can't scan into %T", dest)
	}
	switch to := p.Elem(); to.Kind() {
	case reflect.Pointer:
		if v == nil {
			to.SetZero()
			return nil
		}
		made := reflect.New(to.Type().Elem())
		if err := assign(made.Interface(), v); err != nil {
			return err
		}
		to.Set(made)
		return nil
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		if v == nil {
			to.SetZero()
			return nil
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, dest)
	}
	return fmt.Errorf("can't scan into %T", dest)
}

func text(d *string, v any) error {
	switch v := v.(type) {
	case nil:
		*d = ""
	case string:
		*d = v
	case json.Number: // the digits are the text
		*d = v.String()
	default:
		return mismatch(d, v)
	}
	return nil
}

func texts(d *[]string, v any) error {
	if v == nil {
		*d = nil
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return mismatch(d, v)
	}
	out := make([]string, len(list))
	for i := range list {
		if err := text(&out[i], list[i]); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	*d = out
	return nil
}

func number(dest, v any) (string, error) {
	if v == nil {
		return "", nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return "", mismatch(dest, v)
	}
	return n.String(), nil
}

func integer(dest, v any, bits int) (int64, error) {
	n, err := number(dest, v)
	if err != nil || n == "" {
		return 0, err
	}
	return strconv.ParseInt(n, 10, bits)
}

func mismatch(dest, v any) error { return fmt.Errorf("a %T doesn't fit in a %T", v, dest) }
