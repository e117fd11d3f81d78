package broker

import (
	"math"
	"math/rand/v2"
	"path/filepath"
)

// producerEntry is an entry of kfake's log of producers.
type producerEntry struct {
	Type     string `json:"type"` // "init", "endtx" or "timeout"
	Producer int64  `json:"pid"`
	Epoch    int16  `json:"epoch"`
	TxnID    string `json:"txid,omitempty"`
	Timeout  int32  `json:"timeout,omitempty"` // ms
	Commit   *bool  `json:"commit,omitempty"`  // how its last transaction ended

	// bumped: it has its epoch from the end of that transaction, which ended so.
	bumped *bool
}

// producers are all that the broker knows, as the log says.
type producers struct {
	path  string
	byID  map[int64]*producerEntry
	order []*producerEntry
}

func readProducers(dir string) (*producers, error) {
	ps := &producers{path: filepath.Join(dir, producersFile), byID: map[int64]*producerEntry{}}
	entries, err := readFrames[producerEntry](ps.path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		p := ps.byID[e.Producer]
		switch {
		case e.Type == "init":
			if p == nil {
				p = &producerEntry{}
				ps.byID[e.Producer] = p
				ps.order = append(ps.order, p)
			}
			// An init behind an end may be a part of it (KIP-890).
			if e.Commit == nil && p.Type == "endtx" && e.Epoch == p.Epoch+1 {
				e.bumped = p.Commit
			}
			*p = e
		case p == nil:
		case e.Type == "endtx":
			p.Type, p.Epoch, p.Commit = e.Type, e.Epoch, e.Commit
		case e.Type == "timeout":
			p.Type, p.Epoch, p.Commit = e.Type, e.Epoch, nil
		}
	}
	return ps, nil
}

// write replaces the log by one entry for each producer.
func (ps *producers) write() error {
	var out []producerEntry
	latest := map[string]int64{} // a transactional id whose epochs ran out has a new producer id
	for _, p := range ps.order {
		latest[p.TxnID] = p.Producer
	}
	for _, p := range ps.order {
		if p.TxnID == "" || latest[p.TxnID] == p.Producer {
			e := *p
			e.Type = "init"
			out = append(out, e)
		}
	}
	return writeFrames(ps.path, out)
}

// seen makes known an idempotent producer that has written: kfake takes some in
// without an entry.
func (ps *producers) seen(producer int64, epoch int16) {
	p := ps.byID[producer]
	if p == nil {
		p = &producerEntry{Type: "init", Producer: producer}
		ps.byID[producer] = p
		ps.order = append(ps.order, p)
	}
	if p.TxnID == "" {
		p.Epoch = max(p.Epoch, epoch)
	}
}

// byTxnID is the newest producer with a transactional id, or nil.
func (ps *producers) byTxnID(id string) *producerEntry {
	var out *producerEntry
	for _, p := range ps.order {
		if p.TxnID == id {
			out = p
		}
	}
	return out
}

// fence makes a producer's epoch void, and its last transaction an aborted one.
func (ps *producers) fence(p *producerEntry) {
	p.Commit = nil
	ps.bump(p)
}

// bump gives a producer the next epoch, or a new id when they have run out.
func (ps *producers) bump(p *producerEntry) {
	if p.Epoch < math.MaxInt16-1 {
		p.Epoch++
		return
	}
	delete(ps.byID, p.Producer)
	for ps.byID[p.Producer] == nil {
		p.Producer, p.Epoch = rand.Int64(), 0
		ps.byID[p.Producer] = p
	}
}
