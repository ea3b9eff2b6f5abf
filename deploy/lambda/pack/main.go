// Command pack puts the binary of waggle into a zip for Lambda, as bootstrap at its
// root: the same binary makes the same zip. make lambda-zip runs it.
//
//	pack BINARY ZIP
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// limit is how large a zip may be, in bytes: what is larger takes longer to start.
const limit = 15_000_000

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("want two arguments, BINARY and ZIP")
	}
	binary, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	packed, err := pack(binary)
	if err != nil {
		return err
	}
	if len(packed) > limit {
		return fmt.Errorf("%s would have %d bytes, and %d is the most: leave something out of the binary by a build tag", args[1], len(packed), limit)
	}
	if err := os.WriteFile(args[1], packed, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %.1f MB, of %.1f MB\n", args[1], float64(len(packed))/1e6, float64(len(binary))/1e6)
	return nil
}

// epoch is when everything in a zip was made: the earliest that the format knows.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack returns a zip with a binary that may be executed.
func pack(binary []byte) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	file, err := w.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(binary); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
