package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidestream/sidestream/sidecar/client"
)

// Config says what to watch.
type Config struct {
	// Server is watched. Required.
	Server *client.Client
	// Tables must answer with rows.
	Tables []string
	// Host is this server's name in /clusterStatus, host:port. Empty: lag is not
	// waited for.
	Host string
	// MaxLag is how many records this host's state may be behind when it becomes
	// ready for the first time.
	MaxLag int64
	// StateDir is where keys of tables are remembered. Empty: they aren't.
	StateDir string
	// Every is the pause between rounds (default 2 s).
	Every time.Duration
	// Patience bounds a request (default 4 s).
	Patience time.Duration
	// Settle is how long a table without rows must have answered to count as empty
	// (default 3 s); Forget is the same for one that had rows (default 1 min).
	Settle, Forget time.Duration
	Logger         *slog.Logger // default slog.Default()

	now func() time.Time
}

// Monitor watches one server.
type Monitor struct {
	cfg    Config
	tables []*table

	mu       sync.Mutex
	view     view
	caughtUp bool
}

// view is what the last round saw.
type view struct {
	round   bool // there was one
	up      error
	tables  map[string]error
	lag     error
	queries []client.RunningQuery
	lags    map[storeOn]int64
}

// storeOn is a store on a host.
type storeOn struct{ Host, Store string }

// New makes a Monitor; Run makes it look.
func New(cfg Config) (*Monitor, error) {
	if cfg.Server == nil {
		return nil, errors.New("monitor: Config.Server is needed")
	}
	for of, otherwise := range map[*time.Duration]time.Duration{
		&cfg.Every: 2 * time.Second, &cfg.Patience: 4 * time.Second, &cfg.Settle: 3 * time.Second, &cfg.Forget: time.Minute,
	} {
		if *of <= 0 {
			*of = otherwise
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	m := &Monitor{cfg: cfg}
	memory, err := openMemory(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	for _, name := range cfg.Tables {
		m.tables = append(m.tables, &table{name: name, cfg: &m.cfg, memory: memory})
	}
	return m, nil
}

// Run looks until ctx is done.
func (m *Monitor) Run(ctx context.Context) {
	tick := time.NewTicker(m.cfg.Every)
	defer tick.Stop()
	was := errors.New("not looked yet")
	for {
		m.look(ctx)
		if ctx.Err() != nil {
			return
		}
		is := m.Ready()
		if (is == nil) != (was == nil) || is != nil && is.Error() != was.Error() {
			if is == nil {
				m.cfg.Logger.Info("monitor: ready")
			} else {
				m.cfg.Logger.Warn("monitor: not ready", "reason", is.Error())
			}
			was = is
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Ready is nil when the server may be sent requests; else it says why not.
func (m *Monitor) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch v := m.view; {
	case !v.round:
		return errors.New("the sidecar wasn't asked yet")
	case v.up != nil:
		return v.up
	case !m.caughtUp:
		return v.lag
	default:
		var errs []error
		for _, name := range slices.Sorted(maps.Keys(v.tables)) {
			errs = append(errs, v.tables[name])
		}
		return errors.Join(errs...)
	}
}

// look is one round.
func (m *Monitor) look(ctx context.Context) {
	v := view{round: true, tables: map[string]error{}}
	v.up = m.running(ctx)
	if v.up == nil {
		for _, t := range m.tables {
			v.tables[t.name] = t.ask(ctx)
		}
		v.queries = m.queries(ctx)
		v.lags, v.lag = m.lags(ctx)
	} else {
		for _, t := range m.tables {
			v.tables[t.name] = v.up
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.view = v
	m.caughtUp = m.caughtUp || v.up == nil && v.lag == nil
}

// bound limits a request.
func (m *Monitor) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, m.cfg.Patience)
}

// running asks /info: its status is ERROR when the server has lost Kafka.
func (m *Monitor) running(ctx context.Context) error {
	ctx, cancel := m.bound(ctx)
	defer cancel()
	info, err := m.cfg.Server.Info(ctx)
	if err != nil {
		return fmt.Errorf("the sidecar doesn't answer: %w", err)
	}
	if info.Status != "RUNNING" {
		return fmt.Errorf("the sidecar says %s, not RUNNING", info.Status)
	}
	return nil
}

// queries are the persistent queries; none when the server doesn't tell.
func (m *Monitor) queries(ctx context.Context) []client.RunningQuery {
	ctx, cancel := m.bound(ctx)
	defer cancel()
	answer, err := m.cfg.Server.Exec(ctx, "SHOW QUERIES;")
	if err != nil {
		m.cfg.Logger.Debug("monitor: SHOW QUERIES", "error", err)
		return nil
	}
	var out []client.RunningQuery
	for _, e := range answer {
		for _, q := range e.Queries {
			if q.QueryType == "PERSISTENT" {
				out = append(out, q)
			}
		}
	}
	return out
}

// lags are the records that stores are behind, and why this host isn't caught up.
// A server without /clusterStatus has one host, which has nobody to be behind.
func (m *Monitor) lags(ctx context.Context) (map[storeOn]int64, error) {
	if m.cfg.Host == "" {
		return nil, nil
	}
	ctx, cancel := m.bound(ctx)
	defer cancel()
	hosts, err := m.cfg.Server.ClusterStatus(ctx)
	var refused *client.Error
	if errors.As(err, &refused) && refused.HTTPStatus == 404 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the sidecar doesn't tell its cluster's status: %w", err)
	}
	out := map[storeOn]int64{}
	var own int64
	for host, status := range hosts {
		var stores struct {
			Lags map[string]struct {
				ByPartition map[string]struct {
					Lag int64 `json:"offsetLag"`
				} `json:"lagByPartition"`
			} `json:"stateStoreLags"`
		}
		if len(status.HostStoreLags) > 0 {
			if err := json.Unmarshal(status.HostStoreLags, &stores); err != nil {
				return nil, fmt.Errorf("the sidecar's lags can't be read: %w", err)
			}
		}
		for store, lag := range stores.Lags {
			var sum int64
			for _, p := range lag.ByPartition {
				sum += p.Lag
			}
			out[storeOn{host, store}] = sum
			if strings.EqualFold(host, m.cfg.Host) {
				own += sum
			}
		}
	}
	if own > m.cfg.MaxLag {
		return out, fmt.Errorf("the state of %s is %d records behind (at most %d for the first readiness)", m.cfg.Host, own, m.cfg.MaxLag)
	}
	return out, nil
}
