package disk

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A table between two others on one disk and a plain map get the same random
// operations, with commits and rollbacks among them, and must agree in content
// and order.
func TestTableAgainstMap(t *testing.T) {
	d, err := Open(t.TempDir())
	require.NoError(t, err)
	for _, p := range []string{"sa", "sc"} {
		b := d.Batch()
		require.NoError(t, b.Set([]byte(p+"other"), []byte("x")))
		require.NoError(t, b.Commit())
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	s := d.Table([]byte("sb"))
	model, committed := map[string]string{}, map[string]string{}
	key := func() string {
		return strings.Repeat(string(rune('a'+rnd.IntN(4))), rnd.IntN(4)) + fmt.Sprint(rnd.IntN(30))
	}
	dump := func(m map[string]string, from, to string, open bool) (want []string) {
		for k, v := range m {
			if k >= from && (open || k < to) {
				want = append(want, k+"\x00"+v)
			}
		}
		sort.Strings(want)
		return want
	}
	clone := func(m map[string]string) map[string]string {
		out := map[string]string{}
		for k, v := range m {
			out[k] = v
		}
		return out
	}
	for range 8000 {
		switch k := key(); rnd.IntN(7) {
		case 0:
			s.Delete([]byte(k))
			delete(model, k)
		case 1, 2:
			v := strings.Repeat("v", rnd.IntN(9))
			s.Put([]byte(k), []byte(v))
			model[k] = v
		case 3:
			got, ok := s.Get([]byte(k))
			want, has := model[k]
			require.Equal(t, has, ok)
			require.Equal(t, want, string(got))
		case 4:
			from, to, open := key(), key(), rnd.IntN(4) == 0
			end := []byte(to)
			if open {
				end = nil
			}
			var up, down, view []string
			s.Range([]byte(from), end, func(k, v []byte) bool { up = append(up, string(k)+"\x00"+string(v)); return true })
			s.RangeReverse([]byte(from), end, func(k, v []byte) bool {
				down = append([]string{string(k) + "\x00" + string(v)}, down...)
				return true
			})
			require.Equal(t, dump(model, from, to, open), up)
			require.Equal(t, up, down)
			d.View([]byte("sb")).Range([]byte(from), end, func(k, v []byte) bool {
				view = append(view, string(k)+"\x00"+string(v))
				return true
			})
			require.Equal(t, dump(committed, from, to, open), view)
		case 5:
			if rnd.IntN(10) == 0 {
				b := d.Batch()
				require.NoError(t, s.Apply(b))
				require.NoError(t, b.Commit())
				s.Discard()
				committed = clone(model)
			}
		case 6:
			if rnd.IntN(20) == 0 {
				s.Discard()
				model = clone(committed)
			}
		}
	}
	require.NoError(t, d.Close())
}

func TestTableValuesStayUntilTheNextWrite(t *testing.T) {
	d, err := Open("")
	require.NoError(t, err)
	b := d.Batch()
	require.NoError(t, b.Set([]byte("pa"), []byte("one")))
	require.NoError(t, b.Set([]byte("pb"), []byte("two")))
	require.NoError(t, b.Commit())
	s := d.Table([]byte("p"))
	one, _ := s.Get([]byte("a"))
	two, _ := s.Get([]byte("b"))
	require.Equal(t, "one two", string(one)+" "+string(two))
	require.NoError(t, d.Close())
	_, _, err = d.Get(nil, []byte("pa"))
	require.ErrorIs(t, err, ErrClosed)
}

func TestDiskKeepsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir)
	require.NoError(t, err)
	_, err = Open(dir)
	require.ErrorContains(t, err, "another process")
	b := d.Batch()
	require.NoError(t, b.Set([]byte("pa"), []byte("one")))
	require.NoError(t, b.Set([]byte("qa"), []byte("two")))
	require.NoError(t, b.Commit())
	require.NoError(t, d.Wipe([]byte("p")))
	require.NoError(t, d.Close())
	d, err = Open(dir)
	require.NoError(t, err)
	_, ok, err := d.Get(nil, []byte("pa"))
	require.NoError(t, err)
	require.False(t, ok)
	v, _, err := d.Get(nil, []byte("qa"))
	require.NoError(t, err)
	require.Equal(t, "two", string(v))
	require.NoError(t, d.Close())
}
