package transact

import "time"

// Dry runs a processor without Kafka, over a state in memory: for its unit
// tests. Each call is its own transaction.
type Dry struct {
	p     Processor
	store *store
	tasks map[int32]*task
	// Bad is what the records before were bad for: Tx.Bad and Poison errors.
	Bad []error
}

// NewDry begins with an empty state.
func NewDry(p Processor) (*Dry, error) {
	s, err := openStore("")
	if err != nil {
		return nil, err
	}
	return &Dry{p: p, store: s, tasks: map[int32]*task{}}, nil
}

// Close frees the state.
func (d *Dry) Close() error { return d.store.close() }

// Process gives r to the processor and returns what it emitted. Of r only what
// the processor looks at must be set. A Poison error is kept in Bad.
func (d *Dry) Process(r Record) ([]Record, error) {
	tx := d.tx(r.Partition, r.Time)
	return d.finish(tx, d.p.Process(tx, r))
}

// Tick calls the processor's Tick for one partition, at the given time.
func (d *Dry) Tick(partition int32, now time.Time) ([]Record, error) {
	tx := d.tx(partition, now)
	tx.now = now
	return d.finish(tx, d.p.(Ticker).Tick(tx))
}

func (d *Dry) tx(partition int32, at time.Time) *Tx {
	t := d.tasks[partition]
	if t == nil {
		t = &task{partition: partition, store: d.store, overlay: map[string]change{}}
		d.tasks[partition] = t
	}
	return &Tx{task: t, batch: &batch{}, now: time.Now(), time: at}
}

func (d *Dry) finish(tx *Tx, err error) ([]Record, error) {
	if err != nil {
		tx.rollback()
		if !IsPoison(err) {
			return nil, err
		}
		tx.bad = err
	}
	if tx.bad != nil {
		d.Bad = append(d.Bad, tx.bad)
	}
	w := d.store.begin()
	for k, c := range tx.task.overlay {
		w.set(tx.task.partition, []byte(k), c)
	}
	clear(tx.task.overlay)
	return tx.batch.outputs, w.commit()
}
