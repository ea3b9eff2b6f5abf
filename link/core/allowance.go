package core

// allowance lets so many things a second pass, and at most so many at once. One without
// a rate lets any number.
type allowance struct {
	rate, most, tokens float64
	at                 int64
}

func newAllowance(rate, most float64, now int64) allowance {
	most = max(most, 1)
	return allowance{rate: rate, most: most, tokens: most, at: now}
}

// unlimited is what there is room for where there is no rate, or a senseless one.
const unlimited = 1 << 30

// room returns how many may pass now; negative: so many too many have.
func (a *allowance) room(now int64) int {
	if a.rate == 0 {
		return unlimited
	}
	a.tokens = min(a.most, a.tokens+a.rate*float64(now-a.at)/1000)
	a.at = now
	return int(min(a.tokens, unlimited))
}

func (a *allowance) take(n int) {
	if a.rate != 0 {
		a.tokens -= float64(n)
	}
}
