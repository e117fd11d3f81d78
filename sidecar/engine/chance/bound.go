package chance

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	defer Ends()()
	began, held := used(), allocated()
	f()
	if work := used() - began; work > maxWork {
		t.Errorf("%d bytes took %v of work", size, work)
	}
	if n := allocated() - held; n > maxMemory+uint64(size)*perByte {
		t.Errorf("%d bytes took %d MB of memory", size, n>>20)
	}
}

// Ends ends the process when the function that it returns isn't called within a
// minute: what hangs can't be stopped otherwise, and the fuzzer then has the input.
// A fuzzer doesn't show what the process says, so what it was doing is written to a
// file in the folder of temporary files.
func Ends() (done func()) {
	hung := time.AfterFunc(givingUpIn, func() {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		path := filepath.Join(os.TempDir(), fmt.Sprintf("sidestream-hung-%d.txt", os.Getpid()))
		_ = os.WriteFile(path, stacks, 0o600)
		panic("an input is worked on without an end: see " + path)
	})
	return func() { hung.Stop() }
}

// allocated are the bytes that the process asked for so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
