package deploy

import (
	"time"

	"github.com/sidestream/sidestream/sidecar/topics"
)

// Forever is the retention of a topic whose records don't expire.
const Forever time.Duration = topics.Forever

// Topic is a topic as topics.yaml describes it.
type Topic = topics.Topic

// LoadTopics reads topics.yaml, in its order. The error names every mistake,
// with file and line.
func LoadTopics(path string) ([]Topic, error) { return topics.Load(path) }
