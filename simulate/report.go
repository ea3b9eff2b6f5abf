package simulate

import "slices"

// Report is what a run came to. Times are since the first host started.
type Report struct {
	Policy string `json:"policy"`
	Size   int64  `json:"size"` // bytes, of the file

	Hosts    int `json:"hosts"`    // but for the origin
	Finished int `json:"finished"` // of these
	Killed   int `json:"killed"`   // that did not finish, since an event befell them
	Behind   int `json:"behind"`   // that live, and lack something

	// Last and Median are when the last host was done, and half of all hosts that
	// finished, in seconds.
	Last   float64 `json:"last_done"`
	Median float64 `json:"median_done"`

	// IntoMean and IntoMax are the bytes into a rack, the origin's left out, and
	// OutOfOrigin those out of the origin's rack, all as multiples of the file.
	IntoMean    float64 `json:"into_rack_mean"`
	IntoMax     float64 `json:"into_rack_max"`
	OutOfOrigin float64 `json:"out_of_origin"`

	// BusyMean and BusyMax are the seconds in which an uplink of a rack carried more
	// than 90 % of what it can, in the direction in which that was more often.
	BusyMean float64 `json:"busy_seconds_mean"`
	BusyMax  int     `json:"busy_seconds_max"`

	Announces int       `json:"announces"`
	Uplinks   []Uplink  `json:"uplinks"`
	Done      []float64 `json:"done"` // when each host that finished did, in seconds, rising
}

// Uplink is what went over the boundary of a group.
type Uplink struct {
	Path   string  `json:"path"`
	Height int     `json:"height"` // 1: a rack's
	Origin bool    `json:"origin"` // the origin is inside
	In     float64 `json:"in"`     // bytes
	Out    float64 `json:"out"`    // bytes
	Busy   int     `json:"busy"`   // seconds above 90 % of its speed, in the busier direction
}

// sum makes the report of a run that is over.
func (w *world) sum() *Report {
	r := &Report{Policy: w.tracker.name, Size: w.o.Size, Hosts: len(w.hosts) - 1, Announces: w.announces}
	for i := range w.hosts {
		h := &w.hosts[i]
		switch {
		case int32(i) == w.origin:
		case h.finished >= 0:
			r.Finished++
			r.Done = append(r.Done, h.finished.Seconds())
		case h.killed:
			r.Killed++
		default:
			r.Behind++
		}
	}
	slices.Sort(r.Done)
	if n := len(r.Done); n > 0 {
		r.Last, r.Median = r.Done[n-1], r.Done[n/2]
	}
	w.sumUplinks(r)
	return r
}

func (w *world) sumUplinks(r *Report) {
	racks, others := 0, 0
	for i := range w.nodes {
		s := &w.network
		u := Uplink{
			Path: w.nodes[i].path, Height: w.nodes[i].height, Origin: w.holdsOrigin(int32(i)),
			In: s.carried[2*i+1], Out: s.carried[2*i], Busy: max(s.busy[2*i], s.busy[2*i+1]),
		}
		r.Uplinks = append(r.Uplinks, u)
		if u.Height != 1 {
			continue
		}
		racks++
		r.BusyMean += float64(u.Busy)
		r.BusyMax = max(r.BusyMax, u.Busy)
		if u.Origin {
			r.OutOfOrigin = u.Out / float64(w.o.Size)
			continue
		}
		others++
		r.IntoMean += u.In / float64(w.o.Size)
		r.IntoMax = max(r.IntoMax, u.In/float64(w.o.Size))
	}
	r.BusyMean /= float64(racks)
	r.IntoMean /= float64(max(others, 1))
}

func (w *world) holdsOrigin(n int32) bool {
	for g := w.hosts[w.origin].rack; g >= 0; g = w.nodes[g].up {
		if g == n {
			return true
		}
	}
	return false
}
