package chance

import (
	"runtime/metrics"
	"testing"
	"time"
)

// What one input may cost: a second of work, and memory in proportion to its size.
const (
	maxWork    = time.Second
	maxMemory  = 256 << 20
	perByte    = 1 << 10
	givingUpIn = 60 * time.Second
)

// Bound runs f on an input of that many bytes and fails when it works for more
// than a second (of the processor: a busy machine takes longer and is not at
// fault), allocates without proportion, or doesn't come back at all.
func Bound(t *testing.T, size int, f func()) {
	t.Helper()
	// What hangs can't be stopped: the process ends, and the fuzzer has the input.
	hung := time.AfterFunc(givingUpIn, func() { panic("an input is worked on without an end") })
	defer hung.Stop()
	began, held := used(), allocated()
	f()
	if work := used() - began; work > maxWork {
		t.Errorf("%d bytes took %v of work", size, work)
	}
	if n := allocated() - held; n > maxMemory+uint64(size)*perByte {
		t.Errorf("%d bytes took %d MB of memory", size, n>>20)
	}
}

// allocated are the bytes that the process asked for so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
