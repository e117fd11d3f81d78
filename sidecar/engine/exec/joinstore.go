package exec

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// joinStore keeps the records of one side of a stream-stream join for as long
// as they may find a partner:
//
//	segment ‖ key ‖ time ‖ number → columns
//
// As in Kafka Streams' stores, records are dropped a segment (half the
// retention) at a time, but a record older than the retention isn't found any
// more; both go by the latest time of this side alone.
type joinStore struct {
	store     state.Store
	retention int64
	segment   int64
	observed  int64
	dropped   int64 // segments before that are gone
	windowed  bool  // keys have a window, which must match too

	key, to, value []byte
}

// joinMeta is the store's entry for what it knows beside its records. It sorts
// before all of them, for times aren't negative.
var joinMeta = []byte{0}

func newJoinStore(s state.Store, retention int64, windowed bool) *joinStore {
	j := &joinStore{store: s, windowed: windowed, retention: retention, segment: max(retention/2, 60_000), observed: noTime, dropped: noTime}
	if data, ok := s.Get(joinMeta); ok {
		if t, _, err := decodeTime(data); err == nil {
			j.observed = t
		}
	}
	return j
}

func (j *joinStore) flush() {
	data := appendTime(nil, j.observed)
	if old, ok := j.store.Get(joinMeta); !ok || !bytes.Equal(old, data) {
		j.store.Put(joinMeta, data)
	}
}

func (j *joinStore) segmentOf(ms int64) int64 { return floorDiv(ms, j.segment) * j.segment }

func (j *joinStore) put(r *Row) {
	if r.Time > j.observed {
		j.observed = r.Time
		j.expire()
	}
	if j.segmentOf(r.Time) < j.dropped {
		return
	}
	j.key = appendTime(j.appendKey(appendTime(j.key[:0], j.segmentOf(r.Time)), r), r.Time)
	j.key = appendNumber(j.store, j.key)
	j.value = j.value[:0]
	for _, v := range r.Value {
		j.value = types.AppendBinary(j.value, v)
	}
	j.store.Put(j.key, j.value)
}

// appendKey appends a row's key, with its window where keys have one.
func (j *joinStore) appendKey(dst []byte, r *Row) []byte {
	dst = appendKey(dst, r.Key)
	if j.windowed {
		dst = appendTime(appendTime(dst, r.Window.Start), r.Window.End)
	}
	return dst
}

// appendNumber makes a key unique by a number behind it, in order of arrival.
func appendNumber(s state.Store, prefix []byte) []byte {
	n := len(prefix)
	key := binary.BigEndian.AppendUint32(prefix, 0)
	if _, taken := s.Get(key); !taken {
		return key
	}
	last := uint32(0)
	end := binary.BigEndian.AppendUint32(bytes.Clone(prefix), math.MaxUint32)
	s.RangeReverse(key, end, func(k, _ []byte) bool {
		last = binary.BigEndian.Uint32(k[n:])
		return false
	})
	return binary.BigEndian.AppendUint32(key[:n], last+1)
}

func (j *joinStore) expire() {
	live := j.segmentOf(j.observed - j.retention)
	if live <= j.dropped {
		return
	}
	j.dropped = live
	var doomed [][]byte
	j.store.Range([]byte{1}, appendTime(nil, live), func(k, _ []byte) bool {
		doomed = append(doomed, bytes.Clone(k))
		return true
	})
	for _, k := range doomed {
		j.store.Delete(k)
	}
}

// each calls fn for the records of r's key of [from, to], by time. fn must not write
// to the store; the columns are valid during the call.
func (j *joinStore) each(r *Row, from, to int64, vals []types.Value, fn func(time int64) error) error {
	if j.observed == noTime {
		return nil
	}
	from, to = max(from, 0, j.observed-j.retention+1), min(to, j.observed)
	var err error
	for seg := j.segmentOf(from); seg <= to && err == nil; seg += j.segment {
		j.key = j.appendKey(appendTime(j.key[:0], seg), r)
		j.to = appendTime(append(j.to[:0], j.key...), to+1)
		j.key = appendTime(j.key, from)
		j.store.Range(j.key, j.to, func(k, v []byte) bool {
			var time int64
			if time, _, err = decodeTime(k[len(k)-12:]); err != nil {
				return false
			}
			if err = decodeColumns(v, vals); err != nil {
				return false
			}
			err = fn(time)
			return err == nil
		})
	}
	return err
}

func decodeColumns(src []byte, dst []types.Value) error {
	for i := range dst {
		var err error
		if dst[i], src, err = types.DecodeBinary(src); err != nil {
			return errStore
		}
	}
	return nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
