package core

// allowance lets so many changes a second pass.
type allowance struct {
	rate, most, tokens float64
	at                 int64
}

func newAllowance(rate, seconds float64, now int64) allowance {
	most := max(rate*seconds, 1)
	return allowance{rate: rate, most: most, tokens: most, at: now}
}

// room returns how many may pass now; one without a rate lets any number.
func (a *allowance) room(now int64) int {
	if a.rate == 0 {
		return 1 << 30
	}
	a.tokens = min(a.most, a.tokens+a.rate*float64(now-a.at)/1000)
	a.at = now
	return int(a.tokens)
}

func (a *allowance) take(n int) {
	if a.rate != 0 {
		a.tokens -= float64(n)
	}
}
