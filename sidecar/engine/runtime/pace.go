package runtime

import "time"

// pace keeps something from happening too often, once it has happened a few
// times in a row: what comes seldom is done at once, what comes often is
// gathered.
type pace struct {
	distance time.Duration // between two that are allowed in the long run
	burst    float64       // how many are allowed at once
	tokens   float64
	at       time.Time
}

func newPace(distance time.Duration, burst int) *pace {
	return &pace{distance: distance, burst: float64(burst), tokens: float64(burst)}
}

// wait tells how long to wait until the next is allowed; 0 for not at all.
func (p *pace) wait(now time.Time) time.Duration {
	if !p.at.IsZero() {
		p.tokens = min(p.burst, p.tokens+float64(now.Sub(p.at))/float64(p.distance))
	}
	p.at = now
	if p.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - p.tokens) * float64(p.distance))
}

// take tells that it happened.
func (p *pace) take() { p.tokens = max(0, p.tokens-1) }
