package dev

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Screen shows lines, and below them a table that changes in place. Where nobody
// looks (no terminal), the table is printed now and then instead.
type Screen struct {
	mu    sync.Mutex
	out   io.Writer
	live  bool
	table []string
	last  time.Time
}

// NewScreen shows on out.
func NewScreen(out io.Writer) *Screen {
	f, ok := out.(*os.File)
	return &Screen{out: out, live: ok && term.IsTerminal(int(f.Fd()))}
}

// every is how often the table is printed without a terminal.
const every = 10 * time.Second

// Say prints lines above the table.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintln(s.out, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
	s.draw()
}

// Table replaces the table.
func (s *Screen) Table(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		if len(lines) > 0 && time.Since(s.last) >= every {
			s.last = time.Now()
			fmt.Fprintln(s.out, lines[0])
		}
		return
	}
	s.erase()
	s.table = lines
	s.draw()
}

func (s *Screen) erase() {
	if s.live && len(s.table) > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", len(s.table))
	}
}

func (s *Screen) draw() {
	if !s.live {
		return
	}
	width := 120
	if f, ok := s.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			width = w
		}
	}
	for _, line := range s.table {
		if r := []rune(line); len(r) > width {
			line = string(r[:width-1]) + "…" // a wrapped line couldn't be erased
		}
		fmt.Fprintln(s.out, line)
	}
}
