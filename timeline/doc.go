// Package timeline keeps what figures were in the last hour, every ten seconds, and in
// the last day, every four minutes, and keeps it over restarts in a small SQLite file.
//
//	t, err := timeline.Open(ctx, timeline.Options{
//		Series: []timeline.Series{{Name: "announces", Kind: timeline.Rate}, {Name: "peers", Kind: timeline.Level}},
//		Read:   func(readings []float64) { readings[0], readings[1] = announces(), peers() },
//		Path:   "/var/lib/waggle/timeline.db",
//	})
//	go t.Run(ctx)            // reads every ten seconds
//	view := t.View(timeline.Hour)
//	err = t.Close()          // when Run has ended
//
// # What is kept
//
// Time is cut into steps, which begin at multiples of their length since 1970. Of each
// step and series one value is kept: of a [Rate] how much its count grew a second, of a
// [Level] what it was at the end. The day's values are made of the hour's: means of
// rates, the last of levels. There are 360 steps of either length and as many series
// as the program has, so memory and file do not grow, whatever happens.
//
// A step in which nobody read has no value ([math.NaN]): waggle was down, or the clock
// was put forward. Where the clock was put back, what was kept of the time that is to
// come again is dropped.
//
// # The file
//
// It is written once a minute and at Close, in one transaction: a kill loses a minute
// of figures and nothing else. It names the series that it has, so that another waggle
// with other series reads those that both have. What cannot be written is written with
// the next minute.
//
// # The parts
//
//	timeline.go  Open, Run, Close; readings become values
//	ring.go      the values of one length of steps
//	view.go      what others see
//	file.go      the SQLite file
package timeline
