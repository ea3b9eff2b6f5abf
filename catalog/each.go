package catalog

// eachStep is how many transfers are shown under one lock: some tens of microseconds,
// for which edits wait and announces do not.
const eachStep = 512

// Each shows all transfers in the order of [Catalog.List], those that are active, those
// that are not, or all where active is nil. It ends early where see returns false. A
// transfer that is there all the while is shown once, whatever else comes and goes.
//
// What is shown is the catalogue's own, and does not change: nobody may write to it, and
// anybody may keep it. So 100,000 transfers are shown without a copy of one. Times of
// started and completed are those of when it was read or edited last; [Catalog.Get] has
// those of now. see must not edit the catalogue.
func (c *Catalog) Each(active *bool, see func(*Transfer) bool) {
	var last *entry
	for more := true; more; {
		last, more = c.eachAfter(last, active, see)
	}
}

func (c *Catalog) eachAfter(last *entry, active *bool, see func(*Transfer) bool) (_ *entry, more bool) {
	c.order.mu.RLock()
	defer c.order.mu.RUnlock()
	at := 0
	if last != nil {
		var shown bool
		if at, shown = c.order.search(placeOf(last)); shown {
			at++
		}
	}
	end := min(at+eachStep, len(c.order.entries))
	for _, e := range c.order.entries[at:end] {
		if (active == nil || e.record.Active() == *active) && !see(&e.record.Transfer) {
			return nil, false
		}
		last = e
	}
	return last, end < len(c.order.entries)
}
