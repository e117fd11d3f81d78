package state

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A store and a plain map get the same random operations and must agree, in
// content and in order.
func TestMemoryAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m, model := NewMemory(), map[string]string{}
	key := func() string {
		return strings.Repeat(string(rune('a'+rnd.IntN(4))), rnd.IntN(4)) + fmt.Sprint(rnd.IntN(30))
	}
	dump := func(from, to string, open bool) (want []string) {
		for k, v := range model {
			if k >= from && (open || k < to) {
				want = append(want, k+"\x00"+v)
			}
		}
		sort.Strings(want)
		return want
	}
	for range 5000 {
		switch k := key(); rnd.IntN(5) {
		case 0:
			m.Delete([]byte(k))
			delete(model, k)
		case 1, 2:
			v := strings.Repeat("v", rnd.IntN(9))
			m.Put([]byte(k), []byte(v))
			model[k] = v
		case 3:
			got, ok := m.Get([]byte(k))
			want, has := model[k]
			require.Equal(t, has, ok)
			require.Equal(t, want, string(got))
		case 4:
			from, to, open := key(), key(), rnd.IntN(4) == 0
			end := []byte(to)
			if open {
				end = nil
			}
			var up, down []string
			m.Range([]byte(from), end, func(k, v []byte) bool { up = append(up, string(k)+"\x00"+string(v)); return true })
			m.RangeReverse([]byte(from), end, func(k, v []byte) bool {
				down = append([]string{string(k) + "\x00" + string(v)}, down...)
				return true
			})
			require.Equal(t, dump(from, to, open), up)
			require.Equal(t, up, down)
		}
	}
	require.Equal(t, len(model), m.Len())
}

func TestMemoryRangeStops(t *testing.T) {
	m := NewMemory()
	for i := range 10 {
		m.Put([]byte{byte(i)}, nil)
	}
	n := 0
	m.Range(nil, nil, func(k, _ []byte) bool { n++; return n < 3 })
	require.Equal(t, 3, n)
	var last byte
	m.RangeReverse(nil, []byte{7}, func(k, _ []byte) bool { last = k[0]; return false })
	require.Equal(t, byte(6), last)
}

func TestPrefixEnd(t *testing.T) {
	require.Equal(t, []byte("ac"), PrefixEnd([]byte("ab")))
	require.Equal(t, []byte{2}, PrefixEnd([]byte{1, 0xff}))
	require.Nil(t, PrefixEnd([]byte{0xff}))
	require.Nil(t, PrefixEnd(nil))
}

func BenchmarkMemoryUpdate(b *testing.B) {
	m, value := NewMemory(), make([]byte, 100)
	var key [16]byte
	b.ReportAllocs()
	for i := range b.N {
		binary.BigEndian.PutUint64(key[:], uint64(i*7919%50_000))
		if _, ok := m.Get(key[:]); !ok {
			m.Put(key[:], value)
		}
		m.Put(key[:], value)
	}
}
