package events

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A segment is a file of batches, one behind the other as they were made:
//
//	16 bytes  "waggle events 1\n"
//	 8 bytes  the run, which no other start of a tracker has
//	and of each batch:
//	 4 bytes  length of what follows the checksum, big-endian as all
//	 4 bytes  its CRC-32C
//	 8 bytes  sequence
//	 8 bytes  number of the first event
//	 8 bytes  when it came, Unix nanoseconds
//	 4 bytes  how many events there are
//	          the events, as JSON with commas between them
//
// A kill leaves the last batch cut short, which is left out when the segment is read. Nothing is
// appended to a segment of an earlier run.
const (
	segmentMagic = "waggle events 1\n"
	segmentHead  = len(segmentMagic) + 8
	recordFrame  = 8
	recordHead   = 28
	maxRecord    = 16 << 20 // of what follows the checksum: more is damage
)

const segmentSuffix = ".events"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is a batch as a segment has it.
type record struct {
	sequence uint64
	first    uint64 // number of the first event
	at       int64  // when that came, Unix nanoseconds
	count    uint32
	body     []byte
}

// appendRecord appends a batch.
func appendRecord(b []byte, r *record) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(recordHead+len(r.body)))
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, r.sequence)
	b = binary.BigEndian.AppendUint64(b, r.first)
	b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	b = binary.BigEndian.AppendUint32(b, r.count)
	b = append(b, r.body...)
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+recordFrame:], castagnoli))
	return b
}

var errDamaged = errors.New("it is damaged")

// parseRecord reads a batch from its frame on. The body is within b.
func parseRecord(b []byte) (r record, size int, err error) {
	if len(b) < recordFrame+recordHead {
		return r, 0, errDamaged
	}
	n := binary.BigEndian.Uint32(b)
	if n < recordHead || n > maxRecord || len(b) < recordFrame+int(n) {
		return r, 0, errDamaged
	}
	rest := b[recordFrame : recordFrame+int(n)]
	if crc32.Checksum(rest, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return r, 0, errDamaged
	}
	r.sequence = binary.BigEndian.Uint64(rest)
	r.first = binary.BigEndian.Uint64(rest[8:])
	r.at = int64(binary.BigEndian.Uint64(rest[16:]))
	r.count = binary.BigEndian.Uint32(rest[24:])
	r.body = rest[recordHead:]
	if r.count == 0 || r.first+uint64(r.count) < r.first {
		return r, 0, errDamaged
	}
	return r, recordFrame + int(n), nil
}

// parseSegment shows the batches of a segment with their places, up to the first that is cut short or
// damaged, and returns the run and how many bytes are good.
func parseSegment(b []byte, see func(r *record, at int64, size int)) (run string, good int, err error) {
	if len(b) < segmentHead || string(b[:len(segmentMagic)]) != segmentMagic {
		return "", 0, errors.New("it is none of waggle's, or damaged from its begin on")
	}
	run = hex.EncodeToString(b[len(segmentMagic):segmentHead])
	good = segmentHead
	for good < len(b) {
		r, size, err := parseRecord(b[good:])
		if err != nil {
			return run, good, err
		}
		see(&r, int64(good), size)
		good += size
	}
	return run, good, nil
}

// segment is a file of batches.
type segment struct {
	path string
	run  string
	file *os.File // nil: nothing is appended any more
	size int64
	good int // bytes of one that an earlier run has left, up to where it is damaged
	left int // batches that are still to be delivered
}

// segmentPath names a segment by the sequence of its first batch.
func segmentPath(directory string, sequence uint64) string {
	return filepath.Join(directory, fmt.Sprintf("%020d%s", sequence, segmentSuffix))
}

// createSegment makes an empty one, for its owner's eyes only.
func createSegment(directory string, sequence uint64, run [8]byte) (*segment, error) {
	path := segmentPath(directory, sequence)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(append([]byte(segmentMagic), run[:]...)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &segment{path: path, run: hex.EncodeToString(run[:]), file: f, size: int64(segmentHead)}, nil
}

// append writes a batch. With an error nothing of it counts.
func (s *segment) append(frame []byte) (at int64, err error) {
	if _, err := s.file.WriteAt(frame, s.size); err != nil {
		return 0, err
	}
	at = s.size
	s.size += int64(len(frame))
	return at, nil
}

// read reads the body of a batch.
func (s *segment) read(at int64, size int) ([]byte, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, at); err != nil {
		return nil, err
	}
	r, _, err := parseRecord(b)
	return r.body, err
}

// openSegment reads a segment that an earlier run has left. The error is that of the file; notice
// is what was wrong within it.
func openSegment(path string, see func(s *segment, r *record, at int64, size int)) (s *segment, notice, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, 2*maxSegment+maxRecord))
	if err != nil {
		return nil, nil, err
	}
	s = &segment{path: path, size: int64(len(b))}
	s.run, s.good, notice = parseSegment(b, func(r *record, at int64, size int) { see(s, r, at, size) })
	return s, notice, nil
}

// segmentsIn returns the paths of the segments in a folder, the oldest first.
func segmentsIn(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		digits, is := strings.CutSuffix(e.Name(), segmentSuffix)
		if _, err := strconv.ParseUint(digits, 10, 64); is && err == nil && len(digits) == 20 {
			paths = append(paths, filepath.Join(directory, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}
