package memory

import "unsafe"

// A pool takes pages from the arena; a page holds runs of one length.
const (
	pageBits = 8
	pageLen  = 1 << pageBits // elements
)

// runLens are the lengths of runs. They grow by a half up to 12 and then by about
// a third, so what grows by one at a time wastes a sixth on average and nothing
// up to four; and they fill pages to all but a few elements.
var runLens = [...]int{1, 2, 3, 4, 6, 8, 12, 16, 21, 28, 36, 51, 64, 85, 128, pageLen}

// runClass returns the index in runLens of the shortest run for n elements, 1 <=
// n <= pageLen.
func runClass(n int) uint8 { return runClasses[n] }

var runClasses = func() (table [pageLen + 1]uint8) {
	class := uint8(0)
	for n := 1; n <= pageLen; n++ {
		if n > runLens[class] {
			class++
		}
		table[n] = class
	}
	return table
}()

// pool hands out runs of elements that lie side by side, by number: number i is
// element i % pageLen of page i / pageLen. A page whose runs have all come
// back serves another length, so a crowd of lists that grow together does not
// leave their smaller sizes behind. Memory goes back to the system only with the
// whole arena. The zero value is empty. Number 0 is never handed out.
type pool[T any] struct {
	memory  []*[pageLen]T        // of each page
	pages   []page               // what is known of each
	free    []uint32             // pages that hold nothing
	partial [len(runLens)]uint32 // a page with a free run of this length, 0: none; more by page.next
}

func newPage[T any](a *arena) *[pageLen]T { return (*[pageLen]T)(array[T](a, pageLen)) }

// page is what is known of pageLen elements.
type page struct {
	next, previous uint32 // in the list of pages with free runs of the same length; 0: none
	free           uint16 // first free run that was used before, plus one; it holds the next
	fresh          uint16 // runs from here on were never used
	used           uint16 // runs handed out
	class          uint8
}

func (p *page) runs() uint16 { return uint16(pageLen / runLens[p.class]) }

// at returns the n elements from number i on, which must lie within one run.
func (p *pool[T]) at(i uint32, n int) []T {
	from := int(i & (pageLen - 1))
	return p.memory[i>>pageBits][from : from+n]
}

// one returns element i.
func (p *pool[T]) one(i uint32) *T { return &p.memory[i>>pageBits][i&(pageLen-1)] }

// end returns a number above all that were handed out.
func (p *pool[T]) end() uint32 { return uint32(len(p.pages)) << pageBits }

// alloc returns the first number of a run of the class. Its elements hold
// anything.
func (p *pool[T]) alloc(a *arena, class uint8) uint32 {
	n := p.partial[class]
	if n == 0 {
		n = p.freePage(a)
		p.pages[n] = page{class: class}
		p.link(n)
	}
	g := &p.pages[n]
	run := g.fresh
	if g.free > 0 {
		run = g.free - 1
		g.free = *p.linkIn(n, run)
	} else {
		g.fresh++
	}
	g.used++
	if g.used == g.runs() {
		p.unlink(n)
	}
	return n<<pageBits + uint32(run)*uint32(runLens[class])
}

// release takes back a run.
func (p *pool[T]) release(i uint32, class uint8) {
	n := i >> pageBits
	g := &p.pages[n]
	if g.used == g.runs() {
		p.link(n)
	}
	if g.used--; g.used == 0 {
		p.unlink(n)
		p.free = append(p.free, n)
		return
	}
	run := uint16(int(i&(pageLen-1)) / runLens[class])
	*p.linkIn(n, run) = g.free
	g.free = run + 1
}

// linkIn returns the place within a free run where the number of the next one is
// kept. A run is never used while that is read as such.
func (p *pool[T]) linkIn(n uint32, run uint16) *uint16 {
	first := p.one(n<<pageBits + uint32(run)*uint32(runLens[p.pages[n].class]))
	return (*uint16)(unsafe.Pointer(first)) // every T is larger, aligned, and without pointers
}

func (p *pool[T]) freePage(a *arena) uint32 {
	if free := len(p.free); free > 0 {
		n := p.free[free-1]
		p.free = p.free[:free-1]
		return n
	}
	if len(p.pages) == 0 { // page 0 stands for none
		p.pages, p.memory = append(p.pages, page{}), append(p.memory, nil)
	}
	p.pages, p.memory = append(p.pages, page{}), append(p.memory, newPage[T](a))
	return uint32(len(p.pages) - 1)
}

func (p *pool[T]) link(n uint32) {
	g := &p.pages[n]
	head := p.partial[g.class]
	g.next, g.previous = head, 0
	if head != 0 {
		p.pages[head].previous = n
	}
	p.partial[g.class] = n
}

func (p *pool[T]) unlink(n uint32) {
	g := &p.pages[n]
	if g.previous == 0 {
		p.partial[g.class] = g.next
	} else {
		p.pages[g.previous].next = g.next
	}
	if g.next != 0 {
		p.pages[g.next].previous = g.previous
	}
}

// beside holds something for each element of a pool, by the same numbers.
type beside[T any] []*[pageLen]T

// keepUp follows a pool of so many pages.
func (b *beside[T]) keepUp(a *arena, pages int) {
	if len(*b) == 0 {
		*b = append(*b, nil) // as the pool has it
	}
	for len(*b) < pages {
		*b = append(*b, newPage[T](a))
	}
}

// one returns what is beside element i.
func (b beside[T]) one(i uint32) *T { return &b[i>>pageBits][i&(pageLen-1)] }

// at returns what is beside the n elements from number i on, which must lie
// within one run.
func (b beside[T]) at(i uint32, n int) []T {
	from := int(i & (pageLen - 1))
	return b[i>>pageBits][from : from+n]
}
